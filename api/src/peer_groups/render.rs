//! PEERGROUP and STATUS (fleet.md §3). The structs are also their description.

use dcm_domain::peer_group::SubcloudPeerGroup;
use dcm_domain::value::{DeployStatus, ManagementState, Timestamp};
use dcm_journal::repository::Done;
use dcm_projections::{PeerGroupRow, StateCount};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::times::{Times, times};

/// A peer group: subclouds that move to another controller together.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SubcloudPeerGroup)]
pub struct PeerGroupBody {
    /// Small integer, never used again.
    #[schema(example = 1)]
    pub id: i64,
    /// Unique name.
    #[schema(example = "pg1")]
    pub peer_group_name: String,
    /// 0 if this site owns the group; else the rank of this copy.
    #[schema(example = 0)]
    pub group_priority: i64,
    /// `enabled` or `disabled`.
    #[schema(example = "enabled")]
    pub group_state: String,
    /// How many members are rehomed at once.
    #[schema(example = 10)]
    pub max_subcloud_rehoming: i64,
    /// UUID of the system that manages the group.
    #[schema(required, example = "d9dea83f-f271-470d-9cce-44b0162a800b")]
    pub system_leader_id: Option<String>,
    /// Name of that system.
    #[schema(required, example = "dc-1")]
    pub system_leader_name: Option<String>,
    /// `migrating`, `complete`, or null.
    #[schema(required)]
    pub migration_status: Option<String>,
    /// When it was added, in UTC.
    #[serde(rename = "created-at")]
    #[schema(example = "2023-11-20 10:00:00.123456")]
    pub created_at: String,
    /// When it last changed, in UTC.
    #[serde(rename = "updated-at")]
    #[schema(required)]
    pub updated_at: Option<String>,
}

/// The peer groups, by id.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PeerGroupList {
    /// The entries.
    pub subcloud_peer_groups: Vec<PeerGroupBody>,
}

/// How many members of a peer group are in which state.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct PeerGroupStatus {
    /// Id of the peer group.
    #[schema(example = 1)]
    pub peer_group_id: i64,
    /// Its name.
    #[schema(example = "pg1")]
    pub peer_group_name: String,
    /// All members.
    pub total_subclouds: i64,
    /// Those deployed or rehomed.
    pub complete: i64,
    /// Those that wait to be rehomed.
    pub waiting_for_migrate: i64,
    /// Those that are being rehomed.
    pub rehoming: i64,
    /// Those whose rehoming failed.
    pub rehome_failed: i64,
    /// Those under management.
    pub managed: i64,
    /// Those not under management.
    pub unmanaged: i64,
}

/// A new peer group. Other members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct NewPeerGroup {
    /// Unique name, not only digits, not `none`.
    #[schema(example = "pg1", min_length = 1, max_length = 255)]
    pub peer_group_name: String,
    /// UUID of the system that manages the group; this system's by default.
    pub system_leader_id: Option<String>,
    /// Name of that system; this system's by default.
    pub system_leader_name: Option<String>,
    /// 0 if this site owns the group; else the rank of this copy.
    #[schema(minimum = 0, maximum = 65536)]
    pub group_priority: Option<i64>,
    /// `enabled` or `disabled`.
    #[schema(pattern = "^(enabled|disabled)?$")]
    pub group_state: Option<String>,
    /// How many members are rehomed at once; 10 by default.
    #[schema(minimum = 0, maximum = 250)]
    pub max_subcloud_rehoming: Option<i64>,
}

/// Changes to a peer group. At least one must be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PeerGroupPatch {
    /// New name.
    #[schema(min_length = 1, max_length = 255)]
    pub peer_group_name: Option<String>,
    /// UUID of the system that manages the group.
    pub system_leader_id: Option<String>,
    /// Name of that system.
    pub system_leader_name: Option<String>,
    /// New priority; the number 0 only together with another member.
    #[schema(minimum = 0, maximum = 65536)]
    pub group_priority: Option<i64>,
    /// `enabled` or `disabled`.
    #[schema(pattern = "^(enabled|disabled)$")]
    pub group_state: Option<String>,
    /// How many members are rehomed at once.
    #[schema(minimum = 1, maximum = 250)]
    pub max_subcloud_rehoming: Option<i64>,
    /// `migrating` or `complete`; null or `none` resets it.
    #[serde(rename = "migration_status")]
    pub migration_status: Option<String>,
}

/// What a migration needs.
#[derive(Deserialize, ToSchema)]
#[schema(as = PeerGroupMigrateBody)]
pub struct MigrateBody {
    /// Administrator password of the subclouds, base64.
    #[schema(required, format = Password)]
    pub sysadmin_password: Option<String>,
}

/// A peer's view of the group it took over.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AuditBody {
    /// UUID of the peer.
    #[schema(required)]
    pub peer_uuid: Option<Value>,
    /// Name of the group.
    #[schema(required)]
    pub peer_group_name: Option<Value>,
    /// Its priority there.
    #[schema(required)]
    pub group_priority: Option<Value>,
    /// Its state there.
    #[schema(required)]
    pub group_state: Option<Value>,
    /// UUID of its leader.
    #[schema(required)]
    pub system_leader_id: Option<Value>,
    /// Name of its leader.
    #[schema(required)]
    pub system_leader_name: Option<Value>,
    /// Its migration status there.
    #[schema(required)]
    pub migration_status: Option<Value>,
}

impl From<PeerGroupRow> for PeerGroupBody {
    fn from(row: PeerGroupRow) -> Self {
        let times = Times { created_at: row.created_at, updated_at: row.updated_at };
        body(&row.state, times)
    }
}

/// PEERGROUP as a command left it; `None` if it left none, which a carried out command never does.
pub fn left(done: &Done<SubcloudPeerGroup>) -> Option<PeerGroupBody> {
    let group = done.loaded.state.as_deref()?;
    // Every event after the first one changes the row.
    let changed = done.loaded.revision != Some(0);
    Some(body(group, times(&done.loaded, group.imported, changed)?))
}

fn body(group: &SubcloudPeerGroup, times: Times) -> PeerGroupBody {
    PeerGroupBody {
        id: group.id,
        peer_group_name: group.peer_group_name.clone(),
        group_priority: group.group_priority,
        group_state: group.group_state.clone(),
        max_subcloud_rehoming: group.max_subcloud_rehoming,
        system_leader_id: group.system_leader_id.clone(),
        system_leader_name: group.system_leader_name.clone(),
        migration_status: group.migration_status.clone(),
        created_at: times.created_at.blank_separated(),
        updated_at: times.updated_at.map(Timestamp::blank_separated),
    }
}

/// STATUS of a peer group with these members (fleet.md §3.1).
pub fn status(group: &SubcloudPeerGroup, counts: &[StateCount]) -> PeerGroupStatus {
    let mut status = PeerGroupStatus {
        peer_group_id: group.id,
        peer_group_name: group.peer_group_name.clone(),
        ..PeerGroupStatus::default()
    };
    for StateCount { deploy_status, management_state, count } in counts {
        status.total_subclouds += count;
        match DeployStatus::parse(deploy_status) {
            Some(DeployStatus::Complete) => status.complete += count,
            Some(DeployStatus::Secondary) => status.waiting_for_migrate += count,
            Some(DeployStatus::Rehoming) => status.rehoming += count,
            Some(DeployStatus::RehomeFailed | DeployStatus::RehomePrepFailed) => {
                status.rehome_failed += count;
            }
            _ => {}
        }
        match ManagementState::parse(management_state) {
            Some(ManagementState::Managed) => status.managed += count,
            _ => status.unmanaged += count,
        }
    }
    status
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use dcm_domain::aggregate::Aggregate;
    use dcm_domain::peer_group::SubcloudPeerGroupAdded;

    use super::*;

    #[test]
    fn fl_40_counters_by_deploy_and_management_status() {
        let added = SubcloudPeerGroupAdded {
            id: 1,
            peer_group_name: "pg1".to_owned(),
            group_priority: 0,
            group_state: "enabled".to_owned(),
            max_subcloud_rehoming: 10,
            system_leader_id: "d9dea83f-f271-470d-9cce-44b0162a800b".to_owned(),
            system_leader_name: "dc-1".to_owned(),
        };
        let group = SubcloudPeerGroup::evolve(None, &added.into()).unwrap();
        let of = |deploy: &str, management: &str, count| StateCount {
            deploy_status: deploy.to_owned(),
            management_state: management.to_owned(),
            count,
        };
        let counts = [
            of("complete", "managed", 1),
            of("secondary", "unmanaged", 2),
            of("rehome-failed", "unmanaged", 1),
            of("rehome-prep-failed", "unmanaged", 1),
            of("rehoming", "unmanaged", 4),
            of("pre-rehome", "unmanaged", 1),
            of("secondary-failed", "unmanaged", 1),
            of("rehome-pending", "managed", 1),
        ];
        let text = serde_json::to_string(&status(&group, &counts)).unwrap();
        assert_eq!(
            text,
            r#"{"peer_group_id":1,"peer_group_name":"pg1","total_subclouds":12,"complete":1,"waiting_for_migrate":2,"rehoming":4,"rehome_failed":2,"managed":2,"unmanaged":10}"#
        );
    }
}
