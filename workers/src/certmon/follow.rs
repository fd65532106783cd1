//! What cert-mon hears on the bus, and which regions it audits because of it (access.md §13.1).
//!
//! An event only says that a region is worth a look; what the look finds is decided on the subcloud as it is by then.
//! So a message that comes twice, or late, does no harm, and one that is lost is made good by the next round.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dcm_domain::subcloud::SubcloudEvent;
use dcm_domain::value::Availability;
use dcm_journal::bus::{Consumer, Delivery, Message, Start};
use dcm_schemas::cloudevents::{NotAnEvent, Received};
use dcm_schemas::registry::Unreadable;
use dcm_schemas::subjects;

use super::audit::SKIPPED_DEPLOY_STATUSES;
use super::queue::Queue;

/// The name under which the bus remembers what was heard.
const DURABLE: &str = "cert-mon";

const FILTERS: [&str; 3] = [
    "dcm.v1.event.subcloud.*.availability-changed",
    "dcm.v1.event.subcloud.*.subcloud-managed",
    "dcm.v1.event.subcloud.*.deploy-status-changed",
];

/// Where the region stands in a subject: `dcm.v1.event.subcloud.<region>.<event>`.
const REGION_TOKEN: usize = 4;

/// The queue, as the listener and the auditor share it. Never held over an await.
#[derive(Debug, Default)]
pub(super) struct SharedQueue(Mutex<Queue>);

impl SharedQueue {
    /// The queue is whole at every panic, so a poisoned lock is as good as any.
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The consumer of the event stream. It begins with what is new: the start audits what had happened by then.
pub(super) fn consumer() -> Consumer {
    Consumer {
        durable: Some(DURABLE.to_owned()),
        filters: FILTERS.map(str::to_owned).to_vec(),
        start: Start::New,
        ..Consumer::default()
    }
}

/// Queues the audit that a message asks for, if it asks for one, and settles the message.
pub(super) async fn take_in(queue: &SharedQueue, delivery: Delivery) {
    let settled = match region_to_audit(&delivery) {
        Ok(Some(region)) => {
            // Already queued twice is as good as queued.
            let _ = queue.lock().enqueue_for_event(&region, Instant::now());
            delivery.ack().await
        }
        Ok(None) => delivery.ack().await,
        Err(unusable) => {
            tracing::warn!(subject = delivery.message.subject, %unusable, "cert-mon cannot use a message");
            delivery.term(&unusable.to_string()).await
        }
    };
    if let Err(error) = settled {
        tracing::debug!(%error, "not settled; it will come again");
    }
}

/// Why a message says nothing.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    NotAnEvent(#[from] NotAnEvent),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the subject names no region")]
    NoRegion,
}

/// The region to look at because of a message. A replayed one tells nothing new.
fn region_to_audit(delivery: &Delivery) -> Result<Option<String>, Unusable> {
    if delivery.replayed {
        return Ok(None);
    }
    let Message { subject, headers, payload, .. } = &delivery.message;
    let event: SubcloudEvent = Received::parse(headers, payload)?.decode()?;
    if !asks_for_audit(&event) {
        return Ok(None);
    }
    let token = subject.split('.').nth(REGION_TOKEN).ok_or(Unusable::NoRegion)?;
    subjects::text(token).map(Some).ok_or(Unusable::NoRegion)
}

/// A subcloud that is online or managed again is looked at (access.md §13.1). One that must no longer be is queued
/// too: its audit says so, once, where an operator who has just migrated it looks for the word.
fn asks_for_audit(event: &SubcloudEvent) -> bool {
    match event {
        SubcloudEvent::AvailabilityChanged(changed) => changed.to == Availability::Online,
        SubcloudEvent::SubcloudManaged(_) => true,
        SubcloudEvent::DeployStatusChanged(changed) => SKIPPED_DEPLOY_STATUSES.contains(&changed.to.as_str()),
        _ => false,
    }
}
