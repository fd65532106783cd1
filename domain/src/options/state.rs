//! The state of all options.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{SwUpdateOptionsEvent, SwUpdateOptionsImported};
use crate::aggregate::{Aggregate, Unfoldable};
use crate::value::Timestamp;

/// The five options. The server takes any text (fleet.md §10); an absent one was never given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OptionValues {
    /// How storage hosts are worked on: `parallel` or `serial`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_apply_type: Option<String>,
    /// How worker hosts are worked on: `parallel` or `serial`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_apply_type: Option<String>,
    /// How many worker hosts are worked on at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel_workers: Option<i64>,
    /// Whether alarms stop it: `strict` or `relaxed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_restriction_type: Option<String>,
    /// What happens to instances: `stop-start` or `migrate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_instance_action: Option<String>,
}

impl OptionValues {
    /// What every installation begins with, and what stands in the place of a removed default.
    pub fn installed() -> Self {
        Self {
            storage_apply_type: Some("parallel".to_owned()),
            worker_apply_type: Some("parallel".to_owned()),
            max_parallel_workers: Some(10),
            alarm_restriction_type: Some("relaxed".to_owned()),
            default_instance_action: Some("migrate".to_owned()),
        }
    }

    /// These values; those that are absent as in `held`.
    #[must_use]
    pub fn over(self, held: Self) -> Self {
        Self {
            storage_apply_type: self.storage_apply_type.or(held.storage_apply_type),
            worker_apply_type: self.worker_apply_type.or(held.worker_apply_type),
            max_parallel_workers: self.max_parallel_workers.or(held.max_parallel_workers),
            alarm_restriction_type: self.alarm_restriction_type.or(held.alarm_restriction_type),
            default_instance_action: self.default_instance_action.or(held.default_instance_action),
        }
    }
}

/// Options as they are kept for one subcloud, or as the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOptions {
    /// The small integer the contract shows.
    pub id: i64,
    /// Id of the subcloud, if the row has one.
    pub subcloud_id: Option<i64>,
    /// The options.
    pub values: OptionValues,
    /// When they were set first; not known of the installed default.
    pub created_at: Option<Timestamp>,
    /// When they last changed, if they did.
    pub updated_at: Option<Timestamp>,
}

/// The default options and those of single subclouds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwUpdateOptions {
    default: Option<StoredOptions>,
    own: BTreeMap<Uuid, StoredOptions>,
    last_default_id: i64,
    last_id: i64,
}

impl Default for SwUpdateOptions {
    /// What every installation begins with.
    fn default() -> Self {
        let installed = StoredOptions {
            id: 1,
            subcloud_id: None,
            values: OptionValues::installed(),
            created_at: None,
            updated_at: None,
        };
        Self { default: Some(installed), own: BTreeMap::new(), last_default_id: 1, last_id: 0 }
    }
}

impl SwUpdateOptions {
    /// The one stream's name.
    pub const STREAM: &'static str = "sw-update-options";

    /// What is kept for a subcloud, or as the default if `subcloud` is `None`.
    pub fn stored(&self, subcloud: Option<Uuid>) -> Option<&StoredOptions> {
        match subcloud {
            None => self.default.as_ref(),
            Some(uuid) => self.own.get(&uuid),
        }
    }

    /// The id the next options of that sort get.
    pub(super) const fn next_id(&self, subcloud: Option<Uuid>) -> i64 {
        match subcloud {
            None => self.last_default_id + 1,
            Some(_) => self.last_id + 1,
        }
    }

    fn store(&mut self, subcloud: Option<Uuid>, stored: StoredOptions) {
        match subcloud {
            None => {
                self.last_default_id = self.last_default_id.max(stored.id);
                self.default = Some(stored);
            }
            Some(uuid) => {
                self.last_id = self.last_id.max(stored.id);
                self.own.insert(uuid, stored);
            }
        }
    }
}

impl Aggregate for SwUpdateOptions {
    type Event = SwUpdateOptionsEvent;

    const KIND: &'static str = Self::STREAM;

    fn evolve(state: Option<Self>, event: &SwUpdateOptionsEvent) -> Result<Self, Unfoldable> {
        let mut state = state.unwrap_or_default();
        match event.clone() {
            SwUpdateOptionsEvent::SwUpdateOptionsSet(set) => {
                let before = state.stored(set.subcloud);
                let created_at = before.map_or(Some(set.at), |before| before.created_at);
                let updated_at = before.map(|_| set.at);
                let (id, subcloud_id, values) = (set.id, set.subcloud_id, set.values);
                let stored = StoredOptions { id, subcloud_id, values, created_at, updated_at };
                state.store(set.subcloud, stored);
            }
            SwUpdateOptionsEvent::SwUpdateOptionsRemoved(removed) => match removed.subcloud {
                None => state.default = None,
                Some(uuid) => drop(state.own.remove(&uuid)),
            },
            SwUpdateOptionsEvent::SwUpdateOptionsImported(imported) => {
                let SwUpdateOptionsImported { subcloud, id, subcloud_id, values, created_at, updated_at } =
                    imported;
                let stored = StoredOptions { id, subcloud_id, values, created_at, updated_at };
                state.store(subcloud, stored);
            }
        }
        Ok(state)
    }
}
