//! What can happen to a peer group.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::Timestamp;

/// An event of a peer group's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "each variant is named after, and documented at, its one field type")]
pub enum SubcloudPeerGroupEvent {
    SubcloudPeerGroupAdded(SubcloudPeerGroupAdded),
    SubcloudPeerGroupImported(SubcloudPeerGroupImported),
    SubcloudPeerGroupUpdated(SubcloudPeerGroupUpdated),
    SubcloudPeerGroupDeleted(SubcloudPeerGroupDeleted),
    SubcloudPeerGroupAbandoned(SubcloudPeerGroupAbandoned),
    MigrationStatusChanged(MigrationStatusChanged),
    MigrationRequested(MigrationRequested),
    MigrationFinished(MigrationFinished),
}

/// The system that manages a peer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemLeader {
    /// UUID of the system, as text.
    pub id: String,
    /// Name of the system.
    pub name: String,
}

/// A subcloud that is to be rehomed with its peer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MigrationMember {
    /// Uuid of the subcloud.
    pub subcloud: Uuid,
    /// The run that rehomes it.
    pub run_id: Uuid,
}

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name { $($(#[$fdoc])* pub $field: $kind),* }

        impl From<$name> for SubcloudPeerGroupEvent {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        }
    };
}

event!(
    /// A peer group was added.
    SubcloudPeerGroupAdded {
        /// The small integer the contract shows.
        id: i64,
        /// Unique name.
        peer_group_name: String,
        /// 0 if this site owns the group, else the rank of this copy.
        group_priority: i64,
        /// `enabled` or `disabled`.
        group_state: String,
        /// How many members are rehomed at once.
        max_subcloud_rehoming: i64,
        /// UUID of the system that manages the group.
        system_leader_id: String,
        /// Name of that system.
        system_leader_name: String,
    }
);
event!(
    /// A peer group was taken over from an older installation, with its values as they were.
    SubcloudPeerGroupImported {
        /// The small integer the contract shows.
        id: i64,
        /// Name.
        peer_group_name: String,
        /// 0 if this site owns the group, else the rank of this copy.
        group_priority: i64,
        /// `enabled` or `disabled`.
        group_state: String,
        /// How many members are rehomed at once.
        max_subcloud_rehoming: i64,
        /// UUID of the system that manages the group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        system_leader_id: Option<String>,
        /// Name of that system.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        system_leader_name: Option<String>,
        /// `migrating`, `complete`, or absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        migration_status: Option<String>,
        /// When it was added there.
        created_at: Timestamp,
        /// When it last changed there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        updated_at: Option<Timestamp>,
    }
);

event!(
    /// A peer group's values changed; absent ones did not.
    #[derive(Default)]
    SubcloudPeerGroupUpdated {
        /// Its new name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer_group_name: Option<String>,
        /// Its new priority.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group_priority: Option<i64>,
        /// `enabled` or `disabled`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group_state: Option<String>,
        /// How many members are rehomed at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_subcloud_rehoming: Option<i64>,
        /// UUID of the system that manages the group now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        system_leader_id: Option<String>,
        /// Name of that system.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        system_leader_name: Option<String>,
    }
);
event!(
    /// A peer group was deleted; its members stay.
    SubcloudPeerGroupDeleted {
        /// Its last name.
        peer_group_name: String,
    }
);
event!(
    /// A peer group that was reserved in the directory never began; its id is not used again.
    SubcloudPeerGroupAbandoned {
        /// The id it would have had.
        id: i64,
    }
);
event!(
    /// What is said about the migration of the group changed.
    MigrationStatusChanged {
        /// Status before; absent if there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Status now; absent if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    }
);
event!(
    /// The members of the group that are ready are to be rehomed here.
    MigrationRequested {
        /// The migration.
        run_id: Uuid,
        /// Who is rehomed, each by a run of its own.
        members: Vec<MigrationMember>,
        /// The system this controller is, which leads the group afterwards; absent if that is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leader: Option<SystemLeader>,
    }
);
event!(
    /// Every run of the migration has ended.
    MigrationFinished {
        /// The migration.
        run_id: Uuid,
        /// How many members were rehomed.
        completed: u32,
        /// `complete` if any member was rehomed; else absent, and the group is as before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
    }
);
