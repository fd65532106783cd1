//! GROUP (fleet.md §2). The structs are also its description.

use dcm_domain::group::SubcloudGroup;
use dcm_domain::value::Timestamp;
use dcm_journal::repository::Done;
use dcm_projections::GroupRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A group of subclouds that are updated together.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SubcloudGroup)]
pub struct GroupBody {
    /// Small integer, never used again.
    #[schema(example = 2)]
    pub id: i64,
    /// Unique name.
    #[schema(example = "edge")]
    pub name: String,
    /// Free text.
    #[schema(example = "Edge sites")]
    pub description: String,
    /// `parallel` or `serial`.
    #[schema(example = "parallel")]
    pub update_apply_type: String,
    /// How many members are worked on at once.
    #[schema(example = 5)]
    pub max_parallel_subclouds: i64,
    /// When it was added, in UTC.
    #[serde(rename = "created-at")]
    #[schema(example = "2023-11-20 10:00:00.123456")]
    pub created_at: String,
    /// When it last changed, in UTC.
    #[serde(rename = "updated-at")]
    #[schema(required)]
    pub updated_at: Option<String>,
}

/// The groups, by id.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SubcloudGroupList {
    /// The entries.
    pub subcloud_groups: Vec<GroupBody>,
}

/// A new group. Other members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewGroup {
    /// Unique name, not only digits, not `Default`.
    #[schema(example = "edge", min_length = 1, max_length = 254)]
    pub name: String,
    /// Free text.
    #[schema(example = "Edge sites", min_length = 1, max_length = 254)]
    pub description: String,
    /// `parallel` or `serial`.
    #[schema(example = "parallel", pattern = "^(parallel|serial)$")]
    pub update_apply_type: String,
    /// How many members are worked on at once; a number in a string is taken too.
    #[schema(example = 5, minimum = 1, maximum = 500)]
    pub max_parallel_subclouds: i64,
}

/// Changes to a group; an absent or null member stays as it is. At least one must be given.
#[derive(Debug, Deserialize, ToSchema)]
pub struct GroupPatch {
    /// New name; that of the `Default` group is fixed.
    #[schema(min_length = 1, max_length = 254)]
    pub name: Option<String>,
    /// New description.
    #[schema(min_length = 1, max_length = 254)]
    pub description: Option<String>,
    /// `parallel` or `serial`.
    #[schema(pattern = "^(parallel|serial)$")]
    pub update_apply_type: Option<String>,
    /// How many members are worked on at once; a number in a string is taken too.
    #[schema(minimum = 1, maximum = 500)]
    pub max_parallel_subclouds: Option<i64>,
}

impl From<GroupRow> for GroupBody {
    fn from(row: GroupRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            update_apply_type: row.update_apply_type,
            max_parallel_subclouds: row.max_parallel_subclouds,
            created_at: row.created_at.blank_separated(),
            updated_at: row.updated_at.map(Timestamp::blank_separated),
        }
    }
}

/// GROUP as a command left it; `None` if it left none, which a carried out command never does.
pub fn left(done: &Done<SubcloudGroup>) -> Option<GroupBody> {
    let group = done.loaded.state.as_deref()?;
    let changed_at = done.loaded.changed_at();
    let (created_at, imported_at) = match group.imported {
        Some((created_at, updated_at)) => (created_at, updated_at),
        None => (done.loaded.created_at?, None),
    };
    // Every event after the first one changes the row.
    let updated_at = if done.loaded.revision == Some(0) { imported_at } else { Some(changed_at) };
    Some(GroupBody {
        id: group.id,
        name: group.name.clone(),
        description: group.description.clone(),
        update_apply_type: group.update_apply_type.clone(),
        max_parallel_subclouds: group.max_parallel_subclouds,
        created_at: created_at.blank_separated(),
        updated_at: updated_at.map(Timestamp::blank_separated),
    })
}
