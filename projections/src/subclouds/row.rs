//! A subcloud's row: its folded state with its times and its place.

use std::collections::BTreeMap;

use dcm_domain::subcloud::{Subcloud, SubcloudEvent};
use dcm_domain::value::{Endpoint, SyncStatus, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A subcloud as its row says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubcloudRow {
    /// Uuid of the subcloud and of its stream.
    pub uuid: Uuid,
    /// Its folded state.
    pub subcloud: Subcloud,
    /// When it was added.
    pub created_at: Timestamp,
    /// When its row last changed; `None` since it was added.
    pub updated_at: Option<Timestamp>,
    /// Order of the last folded event in the journal.
    pub position: u64,
    /// When that event was recorded.
    pub event_time: Timestamp,
}

impl SubcloudRow {
    /// What all endpoints have in common: their status, or `out-of-sync` if they differ in any way
    /// (subclouds.md §6.1).
    pub fn sync_status(&self) -> SyncStatus {
        summary(&self.subcloud.endpoints)
    }

    /// Moves times and place on by one event, which has been folded.
    pub(super) fn mark(&mut self, event: &SubcloudEvent, position: u64, at: Timestamp) {
        if event.changes_row()
            && !matches!(event, SubcloudEvent::SubcloudAdded(_) | SubcloudEvent::SubcloudImported(_))
        {
            self.updated_at = Some(at);
        }
        self.position = position;
        self.event_time = at;
    }
}

fn summary(endpoints: &BTreeMap<Endpoint, SyncStatus>) -> SyncStatus {
    let mut statuses = endpoints.values();
    match statuses.next() {
        None => SyncStatus::Unknown,
        Some(first) if statuses.all(|status| status == first) => *first,
        Some(_) => SyncStatus::OutOfSync,
    }
}
