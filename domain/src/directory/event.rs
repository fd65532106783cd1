//! What can happen in the directory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::{Name, Region, Subnet, Timestamp};

/// An event of the directory's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "each variant is named after, and documented at, its one field type")]
pub enum DirectoryEvent {
    EntryReserved(EntryReserved),
    EntryConfirmed(EntryConfirmed),
    EntryReleased(EntryReleased),
    NameReserved(NameReserved),
    NameConfirmed(NameConfirmed),
    NameReleased(NameReleased),
    SubnetChanged(SubnetChanged),
    SubnetReserved(SubnetReserved),
    SubnetReleased(SubnetReleased),
    GroupMembershipChanged(GroupMembershipChanged),
    GroupMoveReserved(GroupMoveReserved),
    GroupMoveReleased(GroupMoveReleased),
    GroupClosed(GroupClosed),
    GroupReopened(GroupReopened),
    EntryImported(EntryImported),
}

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct $name { $($(#[$fdoc])* pub $field: $kind),* }

        impl From<$name> for DirectoryEvent {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        }
    };
}

event!(
    /// Everything unique about a new subcloud was reserved for it.
    EntryReserved {
        /// Uuid of the subcloud, and of its stream.
        entity: Uuid,
        /// The id handed out; never used again.
        id: i64,
        /// Unique name.
        name: Name,
        /// Unique region.
        region: Region,
        /// Management or admin subnet; overlaps no other.
        subnet: Subnet,
        /// Group it belongs to.
        group_id: i64,
        /// When it was reserved: old ones that were never confirmed are stale.
        at: Timestamp,
    }
);
event!(
    /// The subcloud's stream has begun.
    EntryConfirmed {
        /// Uuid of the subcloud.
        entity: Uuid,
    }
);
event!(
    /// The subcloud is gone; what it held is free again.
    EntryReleased {
        /// Uuid of the subcloud.
        entity: Uuid,
    }
);
event!(
    /// A second name was reserved, for a rename.
    NameReserved {
        /// Uuid of the subcloud.
        entity: Uuid,
        /// The name to be.
        name: Name,
        /// When it was reserved: one that is not settled in time is stale.
        at: Timestamp,
    }
);
event!(
    /// The rename is done: the old name is free again.
    NameConfirmed {
        /// Uuid of the subcloud.
        entity: Uuid,
    }
);
event!(
    /// The rename came to nothing: the second name is free again.
    NameReleased {
        /// Uuid of the subcloud.
        entity: Uuid,
    }
);
event!(
    /// The subcloud moved to another subnet.
    SubnetChanged {
        /// Uuid of the subcloud.
        entity: Uuid,
        /// The subnet it has now.
        subnet: Subnet,
    }
);
event!(
    /// A second subnet was reserved, for a network reconfiguration: until it is settled the subcloud holds both.
    SubnetReserved {
        /// Uuid of the subcloud.
        entity: Uuid,
        /// The subnet to be; overlaps no other subcloud's.
        subnet: Subnet,
        /// When it was reserved: one without a run for it is stale some time later.
        at: Timestamp,
    }
);
event!(
    /// The network reconfiguration came to nothing: the second subnet is free again.
    SubnetReleased {
        /// Uuid of the subcloud.
        entity: Uuid,
    }
);
event!(
    /// The subcloud moved to another group.
    GroupMembershipChanged {
        /// Uuid of the subcloud.
        entity: Uuid,
        /// The group it is in now.
        group_id: i64,
    }
);
event!(
    /// A place in another group was reserved, for a move: until it is settled the subcloud counts for both.
    GroupMoveReserved {
        /// Uuid of the subcloud.
        entity: Uuid,
        /// The group to be.
        group_id: i64,
        /// When it was reserved: one that is not settled in time is stale.
        at: Timestamp,
    }
);
event!(
    /// The move came to nothing.
    GroupMoveReleased {
        /// Uuid of the subcloud.
        entity: Uuid,
    }
);
event!(
    /// No subcloud may join a group any more: it is about to be deleted, or is.
    GroupClosed {
        /// The group.
        group_id: i64,
        /// When it was closed: a deletion that is not done in time is stale.
        at: Timestamp,
    }
);
event!(
    /// Subclouds may join again: the group was not deleted.
    GroupReopened {
        /// The group.
        group_id: i64,
    }
);
event!(
    /// A subcloud was taken over from an existing installation with what it held there: region and subnet may be held
    /// by another too, and whoever came first is found by them (decisions.md, "Import").
    EntryImported {
        /// Uuid of the subcloud, and of its stream, which has begun.
        entity: Uuid,
        /// Its id there; never used again.
        id: i64,
        /// Its name.
        name: Name,
        /// Its region.
        region: Region,
        /// Management or admin subnet, if there was a readable one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subnet: Option<Subnet>,
        /// Its group, whether there is one of that id or not.
        group_id: i64,
        /// When it was taken over.
        at: Timestamp,
    }
);
