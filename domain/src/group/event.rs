//! What can happen to a group.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::Timestamp;

/// An event of a group's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum SubcloudGroupEvent {
    /// A group was added.
    SubcloudGroupAdded(SubcloudGroupAdded),
    /// A group was taken over from an older installation.
    SubcloudGroupImported(SubcloudGroupImported),
    /// A group's values changed.
    SubcloudGroupUpdated(SubcloudGroupUpdated),
    /// A group was deleted.
    SubcloudGroupDeleted(SubcloudGroupDeleted),
    /// A group that was reserved never began.
    SubcloudGroupAbandoned(SubcloudGroupAbandoned),
}

/// A group was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubcloudGroupAdded {
    /// The small integer the contract shows.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `parallel` or `serial`.
    pub update_apply_type: String,
    /// How many members are worked on at once.
    pub max_parallel_subclouds: u32,
}

/// A group was taken over from an older installation, with its values as they were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SubcloudGroupImported {
    /// The small integer the contract shows.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `parallel` or `serial`.
    pub update_apply_type: String,
    /// How many members are worked on at once.
    pub max_parallel_subclouds: i64,
    /// When it was added there.
    pub created_at: Timestamp,
    /// When it last changed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// A group's values changed; absent ones did not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubcloudGroupUpdated {
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its new description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `parallel` or `serial`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_apply_type: Option<String>,
    /// How many members are worked on at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel_subclouds: Option<i64>,
}

/// A group was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubcloudGroupDeleted {
    /// Its last name.
    pub name: String,
}

/// A group that was reserved in the directory never began; its id is not used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubcloudGroupAbandoned {
    /// The id it would have had.
    pub id: i64,
}
