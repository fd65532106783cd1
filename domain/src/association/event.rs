//! What can happen to an association.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::Timestamp;

/// An event of an association's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "each variant is named after, and documented at, its one field type")]
pub enum PeerGroupAssociationEvent {
    PeerGroupAssociationAdded(PeerGroupAssociationAdded),
    PeerGroupAssociationImported(PeerGroupAssociationImported),
    PeerGroupAssociationDeleted(PeerGroupAssociationDeleted),
    PeerGroupAssociationAbandoned(PeerGroupAssociationAbandoned),
    AssociationSyncRequested(AssociationSyncRequested),
    AssociationSyncStatusChanged(AssociationSyncStatusChanged),
}

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name { $($(#[$fdoc])* pub $field: $kind),* }

        impl From<$name> for PeerGroupAssociationEvent {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        }
    };
}

event!(
    /// A peer group was associated with a system peer.
    PeerGroupAssociationAdded {
        /// The small integer the contract shows.
        id: i64,
        /// Id of the peer group.
        peer_group_id: i64,
        /// Id of the system peer.
        system_peer_id: i64,
        /// Priority of the copy on the peer; absent if this site holds the copy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer_group_priority: Option<i64>,
        /// `syncing`, or `disabled` if this site holds the copy.
        sync_status: String,
    }
);
event!(
    /// An association was taken over from an older installation, with its values as they were.
    PeerGroupAssociationImported {
        /// The small integer the contract shows.
        id: i64,
        /// Id of the peer group.
        peer_group_id: i64,
        /// Id of the system peer.
        system_peer_id: i64,
        /// Priority of the copy on the peer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer_group_priority: Option<i64>,
        /// What became of the last synchronisation.
        sync_status: String,
        /// What it said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sync_message: Option<String>,
        /// When it was added there.
        created_at: Timestamp,
        /// When it last changed there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        updated_at: Option<Timestamp>,
    }
);
event!(
    /// An association was removed.
    PeerGroupAssociationDeleted {
        /// Id of the peer group.
        peer_group_id: i64,
        /// Id of the system peer.
        system_peer_id: i64,
    }
);
event!(
    /// An association that was reserved in the directory never began; its id is not used again.
    PeerGroupAssociationAbandoned {
        /// The id it would have had.
        id: i64,
    }
);
event!(
    /// The peer group is to be copied to the peer; a run that was waiting before gives way to this one.
    AssociationSyncRequested {
        /// The run.
        run_id: Uuid,
    }
);
event!(
    /// What is known of the copy on the peer changed.
    AssociationSyncStatusChanged {
        /// Status before.
        from: String,
        /// Status now.
        to: String,
        /// The run that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_id: Option<Uuid>,
        /// The new message; absent if it stayed as it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    }
);
