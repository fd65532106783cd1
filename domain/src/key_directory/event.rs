//! What can happen in the directory of a small kind.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::Timestamp;

/// An event of a directory's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "each variant is named after, and documented at, its one field type")]
pub enum KeyDirectoryEvent {
    KeysReserved(KeysReserved),
    KeysConfirmed(KeysConfirmed),
    KeysReleased(KeysReleased),
    KeyChangeReserved(KeyChangeReserved),
    KeyChangeConfirmed(KeyChangeConfirmed),
    KeyChangeReleased(KeyChangeReleased),
    ReferenceClosed(ReferenceClosed),
    ReferenceReopened(ReferenceReopened),
}

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct $name { $($(#[$fdoc])* pub $field: $kind),* }

        impl From<$name> for KeyDirectoryEvent {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        }
    };
}

event!(
    /// Everything unique about a new entity was reserved for it.
    KeysReserved {
        /// Uuid of the entity, and of its stream.
        entity: Uuid,
        /// The id handed out; never used again.
        id: i64,
        /// Its unique keys, such as `name:edge`.
        keys: BTreeSet<String>,
        /// What it refers to, such as `peer-group:1`.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        refs: BTreeSet<String>,
        /// When it was reserved: old ones that were never confirmed are stale.
        at: Timestamp,
    }
);
event!(
    /// The entity's stream has begun.
    KeysConfirmed {
        /// Uuid of the entity.
        entity: Uuid,
    }
);
event!(
    /// The entity is gone; its keys are free again.
    KeysReleased {
        /// Uuid of the entity.
        entity: Uuid,
    }
);
event!(
    /// Other keys were reserved beside the entity's own, for a rename.
    KeyChangeReserved {
        /// Uuid of the entity.
        entity: Uuid,
        /// The keys to be, those that stay included.
        keys: BTreeSet<String>,
        /// When they were reserved: a change that is not settled in time is stale.
        at: Timestamp,
    }
);
event!(
    /// The change is done: keys that it left are free again.
    KeyChangeConfirmed {
        /// Uuid of the entity.
        entity: Uuid,
    }
);
event!(
    /// The change came to nothing: the keys to be are free again.
    KeyChangeReleased {
        /// Uuid of the entity.
        entity: Uuid,
    }
);
event!(
    /// Nothing new may refer to something: it is about to be deleted, or is.
    ReferenceClosed {
        /// What may not be referred to, such as `peer-group:1`.
        reference: String,
        /// When it was closed: a deletion that is not done in time is stale.
        at: Timestamp,
    }
);
event!(
    /// It may be referred to again: it was not deleted.
    ReferenceReopened {
        /// What may be referred to.
        reference: String,
    }
);
