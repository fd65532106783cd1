//! The commands of the directory: each reserves, settles or frees keys, or closes a reference.

use std::collections::BTreeSet;

use serde::Serialize;
use uuid::Uuid;

use super::{
    KeyChangeConfirmed, KeyChangeReleased, KeyChangeReserved, KeyDirectory, KeyDirectoryEvent, KeyEntry,
    Keys, KeysConfirmed, KeysReleased, KeysReserved, ReferenceClosed, ReferenceReopened,
};
use crate::aggregate::{Command, Facts};
use crate::value::Timestamp;

/// Why the directory refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Another entity has the key.
    #[error("{key} is taken")]
    KeyTaken {
        /// The key.
        key: String,
    },
    /// Another entity has the id that an import asked for.
    #[error("the id {id} is taken")]
    IdTaken {
        /// The id.
        id: i64,
    },
    /// What the entity would refer to is being deleted, or is.
    #[error("{reference} is being deleted")]
    ReferenceClosed {
        /// What it would refer to.
        reference: String,
    },
    /// Something refers to it.
    #[error("{reference} is in use")]
    Referenced {
        /// What is referred to.
        reference: String,
        /// The id of an entity that refers to it.
        by: i64,
    },
    /// Its keys are being changed by another request.
    #[error("it is being changed by another request")]
    ChangeUnderWay,
    /// The entity is not in the directory.
    #[error("it is not in the directory")]
    Unknown,
}

/// Reserves everything unique about a new entity, and its id.
#[derive(Clone, Debug, Serialize)]
pub struct ReserveKeys {
    /// Uuid of the entity to be.
    pub entity: Uuid,
    /// The id it had elsewhere; the next free one if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// Its keys.
    pub keys: Keys,
    /// What it refers to.
    pub refs: BTreeSet<String>,
}

impl Command<KeyDirectory> for ReserveKeys {
    type Rejection = Rejection;
    const NAME: &'static str = "ReserveKeys";

    fn decide(
        &self,
        state: Option<&KeyDirectory>,
        facts: &Facts,
    ) -> Result<Vec<KeyDirectoryEvent>, Rejection> {
        let empty = KeyDirectory::default();
        let directory = state.unwrap_or(&empty);
        if directory.entry(self.entity).is_some() {
            return Ok(Vec::new());
        }
        check_free(directory, self.entity, &self.keys)?;
        if let Some(reference) = self.refs.iter().find(|one| directory.closed_at(one).is_some()) {
            return Err(Rejection::ReferenceClosed { reference: reference.clone() });
        }
        if let Some(id) = self.id.filter(|id| directory.by_id(*id).is_some()) {
            return Err(Rejection::IdTaken { id });
        }
        let Self { entity, id, keys, refs } = self.clone();
        let id = id.unwrap_or_else(|| directory.next_id());
        Ok(vec![KeysReserved { entity, id, keys, refs, at: facts.now }.into()])
    }
}

/// The entity's stream has begun.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ConfirmKeys {
    /// Uuid of the entity.
    pub entity: Uuid,
}

impl Command<KeyDirectory> for ConfirmKeys {
    type Rejection = Rejection;
    const NAME: &'static str = "ConfirmKeys";

    fn decide(&self, state: Option<&KeyDirectory>, _: &Facts) -> Result<Vec<KeyDirectoryEvent>, Rejection> {
        match known(state, self.entity)?.confirmed {
            true => Ok(Vec::new()),
            false => Ok(vec![KeysConfirmed { entity: self.entity }.into()]),
        }
    }
}

/// Frees everything the entity held; freeing twice is once.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReleaseKeys {
    /// Uuid of the entity.
    pub entity: Uuid,
}

impl Command<KeyDirectory> for ReleaseKeys {
    type Rejection = Rejection;
    const NAME: &'static str = "ReleaseKeys";

    fn decide(&self, state: Option<&KeyDirectory>, _: &Facts) -> Result<Vec<KeyDirectoryEvent>, Rejection> {
        match known(state, self.entity) {
            Ok(_) => Ok(vec![KeysReleased { entity: self.entity }.into()]),
            Err(_) => Ok(Vec::new()),
        }
    }
}

/// Reserves other keys beside the entity's own, for a rename; nothing happens if they are its own. Refused while any
/// change is under way, even one to the same keys: whoever holds a reservation must be the only one to confirm or
/// release it.
#[derive(Clone, Debug, Serialize)]
pub struct ReserveKeyChange {
    /// Uuid of the entity.
    pub entity: Uuid,
    /// The keys to be, those that stay included.
    pub keys: Keys,
}

impl Command<KeyDirectory> for ReserveKeyChange {
    type Rejection = Rejection;
    const NAME: &'static str = "ReserveKeyChange";

    fn decide(
        &self,
        state: Option<&KeyDirectory>,
        facts: &Facts,
    ) -> Result<Vec<KeyDirectoryEvent>, Rejection> {
        let entry = known(state, self.entity)?;
        if let Some(directory) = state {
            check_free(directory, self.entity, &self.keys)?;
        }
        if entry.next_keys.is_some() {
            return Err(Rejection::ChangeUnderWay);
        }
        if entry.keys == self.keys {
            return Ok(Vec::new());
        }
        let Self { entity, keys } = self.clone();
        Ok(vec![KeyChangeReserved { entity, keys, at: facts.now }.into()])
    }
}

/// The change is done; nothing happens if it is not the one under way.
#[derive(Clone, Debug, Serialize)]
pub struct ConfirmKeyChange {
    /// Uuid of the entity.
    pub entity: Uuid,
    /// The keys that were reserved.
    pub keys: Keys,
}

impl Command<KeyDirectory> for ConfirmKeyChange {
    type Rejection = Rejection;
    const NAME: &'static str = "ConfirmKeyChange";

    fn decide(&self, state: Option<&KeyDirectory>, _: &Facts) -> Result<Vec<KeyDirectoryEvent>, Rejection> {
        match known(state, self.entity)?.next_keys.as_ref() == Some(&self.keys) {
            true => Ok(vec![KeyChangeConfirmed { entity: self.entity }.into()]),
            false => Ok(Vec::new()),
        }
    }
}

/// The change came to nothing; nothing happens if it is not the one under way.
#[derive(Clone, Debug, Serialize)]
pub struct ReleaseKeyChange {
    /// Uuid of the entity.
    pub entity: Uuid,
    /// The keys that were reserved.
    pub keys: Keys,
}

impl Command<KeyDirectory> for ReleaseKeyChange {
    type Rejection = Rejection;
    const NAME: &'static str = "ReleaseKeyChange";

    fn decide(&self, state: Option<&KeyDirectory>, _: &Facts) -> Result<Vec<KeyDirectoryEvent>, Rejection> {
        match known(state, self.entity)?.next_keys.as_ref() == Some(&self.keys) {
            true => Ok(vec![KeyChangeReleased { entity: self.entity }.into()]),
            false => Ok(Vec::new()),
        }
    }
}

/// Keeps anything new from referring to something that is to be deleted; refused if an entry refers to it. Closing
/// again renews the moment from which the deletion has its time.
#[derive(Clone, Debug, Serialize)]
pub struct CloseReference {
    /// What may not be referred to any more.
    pub reference: String,
}

impl Command<KeyDirectory> for CloseReference {
    type Rejection = Rejection;
    const NAME: &'static str = "CloseReference";

    fn decide(
        &self,
        state: Option<&KeyDirectory>,
        facts: &Facts,
    ) -> Result<Vec<KeyDirectoryEvent>, Rejection> {
        let reference = self.reference.clone();
        match state.and_then(|directory| directory.referring(&reference)) {
            Some((_, by)) => Err(Rejection::Referenced { reference, by: by.id }),
            None => Ok(vec![ReferenceClosed { reference, at: facts.now }.into()]),
        }
    }
}

/// The deletion came to nothing; nothing happens if the reference was closed again since.
#[derive(Clone, Debug, Serialize)]
pub struct ReopenReference {
    /// What may be referred to again.
    pub reference: String,
    /// When it was closed for the deletion that came to nothing.
    pub closed_at: Timestamp,
}

impl Command<KeyDirectory> for ReopenReference {
    type Rejection = Rejection;
    const NAME: &'static str = "ReopenReference";

    fn decide(&self, state: Option<&KeyDirectory>, _: &Facts) -> Result<Vec<KeyDirectoryEvent>, Rejection> {
        let closed_at = state.and_then(|directory| directory.closed_at(&self.reference));
        match closed_at == Some(self.closed_at) {
            true => Ok(vec![ReferenceReopened { reference: self.reference.clone() }.into()]),
            false => Ok(Vec::new()),
        }
    }
}

fn check_free(directory: &KeyDirectory, entity: Uuid, keys: &Keys) -> Result<(), Rejection> {
    let taken = |key: &&String| directory.by_key(key).is_some_and(|holder| holder != entity);
    match keys.iter().find(taken) {
        Some(key) => Err(Rejection::KeyTaken { key: key.clone() }),
        None => Ok(()),
    }
}

fn known(state: Option<&KeyDirectory>, entity: Uuid) -> Result<&KeyEntry, Rejection> {
    state.and_then(|directory| directory.entry(entity)).ok_or(Rejection::Unknown)
}
