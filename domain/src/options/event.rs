//! What can happen to options.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::OptionValues;
use crate::value::Timestamp;

/// An event of the options' stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum SwUpdateOptionsEvent {
    /// Options were set.
    SwUpdateOptionsSet(SwUpdateOptionsSet),
    /// Options were removed.
    SwUpdateOptionsRemoved(SwUpdateOptionsRemoved),
    /// Options were taken over from an older installation.
    SwUpdateOptionsImported(SwUpdateOptionsImported),
}

/// Options were set, for one subcloud or as the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SwUpdateOptionsSet {
    /// Uuid of the subcloud; absent for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcloud: Option<Uuid>,
    /// The small integer the contract shows.
    pub id: i64,
    /// Id of the subcloud; 0 for a default that was set again after it was removed, absent for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcloud_id: Option<i64>,
    /// The options now.
    pub values: OptionValues,
    /// When they were set.
    pub at: Timestamp,
}

/// Options were removed: those of a subcloud, or the default, in whose place constants stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SwUpdateOptionsRemoved {
    /// Uuid of the subcloud; absent for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcloud: Option<Uuid>,
}

/// Options were taken over from an older installation, as they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SwUpdateOptionsImported {
    /// Uuid of the subcloud; absent for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcloud: Option<Uuid>,
    /// The small integer the contract shows.
    pub id: i64,
    /// Id of the subcloud, if the row had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcloud_id: Option<i64>,
    /// The options.
    pub values: OptionValues,
    /// When they were set first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When they last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}
