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
    GroupMembershipChanged(GroupMembershipChanged),
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
    /// The subcloud moved to another group.
    GroupMembershipChanged {
        /// Uuid of the subcloud.
        entity: Uuid,
        /// The group it is in now.
        group_id: i64,
    }
);
