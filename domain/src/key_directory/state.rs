//! The directory's state. Its maps share structure, so that a copy costs nothing.

use std::collections::BTreeSet;

use rpds::HashTrieMapSync as Map;
use uuid::Uuid;

use super::{KeyChangeReserved, KeyDirectoryEvent, KeysReserved};
use crate::aggregate::{Aggregate, Unfoldable};
use crate::value::Timestamp;

/// Unique keys of one entity, each `<what>:<value>`.
pub type Keys = BTreeSet<String>;

/// What is held for one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyEntry {
    /// The small integer id.
    pub id: i64,
    /// Its keys.
    pub keys: Keys,
    /// The keys to be, while they are being changed.
    pub next_keys: Option<Keys>,
    /// What it refers to.
    pub refs: BTreeSet<String>,
    /// When it, or its keys to be, were last reserved.
    pub reserved_at: Timestamp,
    /// Whether its stream has begun.
    pub confirmed: bool,
}

/// Keys, ids and references of all entities of one kind.
#[derive(Clone, Debug, Default)]
pub struct KeyDirectory {
    last_id: i64,
    entries: Map<Uuid, KeyEntry>,
    by_id: Map<i64, Uuid>,
    by_key: Map<String, Uuid>,
    closed: Map<String, Timestamp>,
}

impl KeyDirectory {
    /// The stream of the directory of `kind`, an aggregate's kind.
    pub fn stream(kind: &str) -> String {
        format!("directory-{kind}")
    }

    /// The id the next entity gets.
    pub const fn next_id(&self) -> i64 {
        self.last_id + 1
    }

    /// What is held for an entity.
    pub fn entry(&self, entity: Uuid) -> Option<&KeyEntry> {
        self.entries.get(&entity)
    }

    /// Finds an entity by id.
    pub fn by_id(&self, id: i64) -> Option<Uuid> {
        self.by_id.get(&id).copied()
    }

    /// Finds an entity by one of its keys; while they are changed, by any of both.
    pub fn by_key(&self, key: &str) -> Option<Uuid> {
        self.by_key.get(key).copied()
    }

    /// Every entry.
    pub fn entries(&self) -> impl Iterator<Item = (Uuid, &KeyEntry)> {
        self.entries.iter().map(|(entity, entry)| (*entity, entry))
    }

    /// Reservations and changes that have begun but not ended.
    pub fn unsettled(&self) -> impl Iterator<Item = (Uuid, &KeyEntry)> {
        self.entries().filter(|(_, entry)| !entry.confirmed || entry.next_keys.is_some())
    }

    /// An entity that refers to `reference`.
    pub fn referring(&self, reference: &str) -> Option<(Uuid, &KeyEntry)> {
        self.entries().find(|(_, entry)| entry.refs.contains(reference))
    }

    /// When a reference was closed, if it is.
    pub fn closed_at(&self, reference: &str) -> Option<Timestamp> {
        self.closed.get(reference).copied()
    }

    /// Every closed reference, and when it was closed last.
    pub fn closed(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.closed.iter().map(|(reference, at)| (reference.as_str(), *at))
    }

    fn reserve(&mut self, reserved: &KeysReserved) {
        let KeysReserved { entity, id, keys, refs, at } = reserved.clone();
        self.last_id = self.last_id.max(id);
        self.by_id.insert_mut(id, entity);
        self.hold(entity, &keys);
        let entry = KeyEntry { id, keys, next_keys: None, refs, reserved_at: at, confirmed: false };
        self.entries.insert_mut(entity, entry);
    }

    fn release(&mut self, entity: Uuid) -> Option<()> {
        let entry = self.entries.get(&entity)?.clone();
        self.entries.remove_mut(&entity);
        self.by_id.remove_mut(&entry.id);
        self.free(&entry.keys);
        self.free(&entry.next_keys.unwrap_or_default());
        Some(())
    }

    fn reserve_change(&mut self, reserved: &KeyChangeReserved) -> Option<()> {
        let entry = self.entries.get_mut(&reserved.entity)?;
        entry.next_keys = Some(reserved.keys.clone());
        entry.reserved_at = reserved.at;
        self.hold(reserved.entity, &reserved.keys);
        Some(())
    }

    /// Ends a change: the entry keeps the new keys, or the old ones.
    fn settle_change(&mut self, entity: Uuid, changed: bool) -> Option<()> {
        let entry = self.entries.get_mut(&entity)?;
        let next = entry.next_keys.take()?;
        let dropped = if changed { std::mem::replace(&mut entry.keys, next) } else { next };
        let kept = entry.keys.clone();
        self.free(&dropped);
        self.hold(entity, &kept);
        Some(())
    }

    fn hold(&mut self, entity: Uuid, keys: &Keys) {
        for key in keys {
            self.by_key.insert_mut(key.clone(), entity);
        }
    }

    fn free(&mut self, keys: &Keys) {
        for key in keys {
            self.by_key.remove_mut(key);
        }
    }
}

impl Aggregate for KeyDirectory {
    type Event = KeyDirectoryEvent;

    const KIND: &'static str = "key-directory";

    fn evolve(state: Option<Self>, event: &KeyDirectoryEvent) -> Result<Self, Unfoldable> {
        use KeyDirectoryEvent as E;
        let mut state = state.unwrap_or_default();
        let folded = match event {
            E::KeysReserved(reserved) => {
                state.reserve(reserved);
                Some(())
            }
            E::KeysConfirmed(confirmed) => {
                state.entries.get_mut(&confirmed.entity).map(|entry| entry.confirmed = true)
            }
            E::KeysReleased(released) => state.release(released.entity),
            E::KeyChangeReserved(reserved) => state.reserve_change(reserved),
            E::KeyChangeConfirmed(confirmed) => state.settle_change(confirmed.entity, true),
            E::KeyChangeReleased(released) => state.settle_change(released.entity, false),
            E::ReferenceClosed(closed) => {
                state.closed.insert_mut(closed.reference.clone(), closed.at);
                Some(())
            }
            E::ReferenceReopened(reopened) => {
                state.closed.remove_mut(&reopened.reference);
                Some(())
            }
        };
        folded
            .map(|()| state)
            .ok_or_else(|| Unfoldable { aggregate: Self::KIND, event: format!("{event:?}") })
    }
}
