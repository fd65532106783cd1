//! The worker role `cert-mon`: hears of subclouds on the bus, audits them, reports by command.
//!
//! One process does it at a time (see [`crate::singleton`]); a second one would audit everything twice and, as both
//! share the durable consumer, hear half of what happens.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use dcm_domain::subcloud::Subcloud;
use dcm_domain::subcloud::command::ReportEndpoint;
use dcm_domain::value::{Actor, Availability, Endpoint, Region, SyncStatus};
use dcm_journal::bus::{Bus, Stream, consume_forever};
use dcm_journal::fleet::{Fleet, FleetError, Reference};
use dcm_journal::repository::{Meta, Unavailable};
use dcm_journal::store::Journal;
use dcm_projections::{ReadModels, SubcloudRow};
use futures::StreamExt;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::audit::{self, Report, Step};
use super::follow::{self, SharedQueue};
use super::handshake::{Outcome, Prober, expected_ca_path};
use super::queue::Entry;
use super::target::AddressTemplate;
use super::{InvalidSettings, Settings};
use crate::outage::Outage;

/// What cert-mon works with.
#[derive(Clone)]
pub struct Context {
    /// Where subclouds are read, one at a time and fresh, and results are reported.
    pub fleet: Arc<Fleet>,
    /// How far the read models have to be before they say what a start audits.
    pub journal: Arc<dyn Journal>,
    /// Which regions there are.
    pub models: Arc<ReadModels>,
    /// Where events are heard.
    pub bus: Arc<dyn Bus>,
    /// How often, how many at once and how patiently.
    pub settings: Settings,
    /// Where a subcloud's certificate is fetched.
    pub template: AddressTemplate,
    /// The directory of the expected CAs: `<region>.pem`.
    pub ca_dir: PathBuf,
}

/// Why cert-mon cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// A setting has no meaning.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// TLS could not be set up.
    #[error("certmon: {0}")]
    Tls(#[from] rustls::Error),
}

/// The certificate monitor.
pub struct CertMon {
    context: Context,
    prober: Prober,
}

impl CertMon {
    /// A monitor that has not begun.
    ///
    /// # Errors
    /// [`CannotStart`]; outside systems are not asked yet.
    pub fn new(context: Context) -> Result<Self, CannotStart> {
        context.settings.check()?;
        Ok(Self { context, prober: Prober::new()? })
    }

    /// Audits until `stop`. A handshake under way is then given up, a report under way is finished. Whatever does not
    /// answer (bus, journal, read models) is asked again until it does.
    pub async fn run(&self, stop: CancellationToken) {
        let queue = SharedQueue::default();
        let heard = &queue;
        let bus = Arc::clone(&self.context.bus);
        let following =
            consume_forever(bus, Stream::Events, follow::consumer(), stop.clone(), move |delivery| {
                follow::take_in(heard, delivery)
            });
        tokio::join!(following, Auditor::new(self, &queue, &stop).run());
    }
}

/// Fills the queue by the clock and works it off, batch by batch: a region is never audited twice at once.
struct Auditor<'a> {
    context: &'a Context,
    prober: &'a Prober,
    queue: &'a SharedQueue,
    stop: &'a CancellationToken,
    journal: Outage,
    models: Outage,
    /// Where the journal ended at the start, once it has said so.
    head: Option<u64>,
    /// Whether what a start audits is queued.
    started: bool,
    next_round: Instant,
}

/// A subcloud as one audit found it.
struct Looked {
    uuid: Uuid,
    /// Revision looked at: the report is late if management or deploy status changed after it.
    revision: u64,
    subcloud: Arc<Subcloud>,
}

impl<'a> Auditor<'a> {
    fn new(monitor: &'a CertMon, queue: &'a SharedQueue, stop: &'a CancellationToken) -> Self {
        let CertMon { context, prober } = monitor;
        Self {
            context,
            prober,
            queue,
            stop,
            journal: Outage::of("journal"),
            models: Outage::of("read models"),
            head: None,
            started: false,
            next_round: Instant::now() + context.settings.audit_every(),
        }
    }

    async fn run(mut self) {
        let mut poll = tokio::time::interval(self.context.settings.poll_every());
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                _ = poll.tick() => {}
            }
            // While nothing can be read, the queue is left as it is.
            if !self.journal.lasts() || self.journal_is_back().await {
                self.enqueue_by_the_clock().await;
                self.work_off_batch().await;
            }
        }
    }

    async fn journal_is_back(&mut self) -> bool {
        let back = self.context.fleet.directory().await.is_ok();
        if back {
            self.journal.end();
        }
        back
    }

    /// Queues what a start audits, or a round over all regions when it is due (access.md §13.3).
    async fn enqueue_by_the_clock(&mut self) {
        let now = Instant::now();
        let round = now >= self.next_round;
        if !round && (self.started || !self.models_show_the_start().await) {
            return;
        }
        let rows = match self.context.models.subclouds().all().await {
            Ok(rows) => rows,
            Err(error) => return self.models.begin(&error),
        };
        self.models.end();
        let mut queue = self.queue.lock();
        if !self.started {
            let fleet = rows.iter().map(|row| (region(row), is_in_sync(row)));
            queue.enqueue_at_start(fleet, self.context.settings.startup_audit_all, now);
            self.started = true;
        }
        if round {
            queue.enqueue_round(rows.iter().map(region), now);
            self.next_round = now + self.context.settings.audit_every();
        }
    }

    /// Whether the read models show what there was at the start: while they are behind they hide regions.
    async fn models_show_the_start(&mut self) -> bool {
        let head = match self.head {
            Some(head) => head,
            None => match self.context.journal.head().await {
                Ok(head) => *self.head.insert(head),
                Err(error) => {
                    self.journal.begin(&error);
                    return false;
                }
            },
        };
        match self.context.models.subclouds().position().await {
            Ok((position, _)) => position >= head,
            Err(error) => {
                self.models.begin(&error);
                false
            }
        }
    }

    async fn work_off_batch(&mut self) {
        let due = self.queue.lock().take_due(Instant::now(), self.context.settings.audit_batch_size);
        let this = &*self;
        let failures: Vec<Unavailable> = futures::stream::iter(due)
            .take_until(this.stop.cancelled())
            .map(|entry| this.audit_or_keep(entry))
            .buffer_unordered(self.context.settings.parallel())
            .filter_map(async |ended| ended.err())
            .collect()
            .await;
        if let Some(failure) = failures.first() {
            self.journal.begin(failure);
        }
    }

    /// Keeps an audit queued that the journal did not let come to its end.
    async fn audit_or_keep(&self, entry: Entry) -> Result<(), Unavailable> {
        self.audit(&entry).await.inspect_err(|_| {
            // Queued already is as good.
            let _ = self.queue.lock().requeue(entry, Instant::now());
        })
    }

    /// One audit (access.md §13.4), from the look at the subcloud to its log line.
    async fn audit(&self, entry: &Entry) -> Result<(), Unavailable> {
        let region = entry.region();
        let Some(looked) = self.look(region).await? else {
            self.end(entry, &audit::not_found("no such region"));
            return Ok(());
        };
        if let Some(step) = audit::skip(looked.subcloud.deploy.as_str()) {
            self.end(entry, &step);
            return Ok(());
        }
        let Some(outcome) = self.probe(region, &looked.subcloud).await else { return Ok(()) };
        let online = match &outcome {
            Outcome::Unreachable { .. } => self.is_online(looked.uuid).await?,
            _ => looked.subcloud.availability == Availability::Online,
        };
        let step = audit::conclude(outcome, online, entry.attempt(), &self.context.settings);
        if let Some(report) = step.report {
            self.report(&looked, report).await?;
        }
        self.end(entry, &step);
        Ok(())
    }

    async fn look(&self, region: &str) -> Result<Option<Looked>, Unavailable> {
        let Some(region) = Region::imported(region) else { return Ok(None) };
        let Some(uuid) = self.context.fleet.resolve(&Reference::Region(region)).await? else {
            return Ok(None);
        };
        let loaded = self.context.fleet.subcloud(uuid).await?;
        Ok(match (loaded.state, loaded.revision) {
            (Some(subcloud), Some(revision)) if !subcloud.deleted => {
                Some(Looked { uuid, revision, subcloud })
            }
            _ => None,
        })
    }

    /// What the endpoint shows; `None` if the monitor was stopped meanwhile.
    async fn probe(&self, region: &str, subcloud: &Subcloud) -> Option<Outcome> {
        let Context { template, ca_dir, settings, .. } = self.context;
        let target = match template.resolve(&subcloud.network.start_ip, region) {
            Ok(target) => target,
            Err(unresolvable) => return Some(Outcome::Unreachable { reason: unresolvable.to_string() }),
        };
        let ca_file = expected_ca_path(ca_dir, region);
        tokio::select! {
            () = self.stop.cancelled() => None,
            outcome = self.prober.probe(&target, &ca_file, settings.handshake_timeout()) => Some(outcome),
        }
    }

    async fn is_online(&self, uuid: Uuid) -> Result<bool, Unavailable> {
        let state = self.context.fleet.subcloud(uuid).await?.state;
        Ok(state.is_some_and(|subcloud| subcloud.availability == Availability::Online))
    }

    /// Reports what was found. What comes too late to be applied is looked at again, as nothing else would for a long
    /// time.
    async fn report(&self, looked: &Looked, report: Report) -> Result<(), Unavailable> {
        let status = match report {
            Report::InSync => SyncStatus::InSync,
            Report::OutOfSync => SyncStatus::OutOfSync,
        };
        let command = ReportEndpoint { endpoint: Endpoint::DcCert, status, seen: Some(looked.revision) };
        let meta = Meta::new(Actor::system("cert-mon"));
        let region = looked.subcloud.region.as_ref();
        match self.context.fleet.run(looked.uuid, &command, &meta).await {
            Ok(done) => {
                let changed_at = done.loaded.state.map_or(0, |subcloud| subcloud.status_revision);
                if changed_at > looked.revision {
                    tracing::debug!(region, "the subcloud changed during its audit; auditing it again");
                    // Queued already is as good.
                    let _ = self.queue.lock().enqueue(region, Instant::now());
                }
                Ok(())
            }
            Err(FleetError::Unavailable(error)) => Err(error),
            Err(refused) => {
                // Deleted meanwhile: there is nothing left to report on.
                tracing::debug!(region, %refused, "the report of a certificate audit was refused");
                Ok(())
            }
        }
    }

    /// Writes the audit's log line and queues its next attempt, if there is to be one.
    fn end(&self, entry: &Entry, step: &Step) {
        step.record(entry.region());
        if let Some(wait) = step.requeue_in {
            // Queued already is as good.
            let _ = self.queue.lock().requeue(entry.clone(), Instant::now() + wait);
        }
    }
}

fn region(row: &SubcloudRow) -> &str {
    row.subcloud.region.as_ref()
}

fn is_in_sync(row: &SubcloudRow) -> bool {
    row.subcloud.endpoints.get(&Endpoint::DcCert) == Some(&SyncStatus::InSync)
}
