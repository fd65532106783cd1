//! The directory's state. Its maps share structure, so that a copy costs nothing however many subclouds there are.

use rpds::HashTrieMapSync as Map;
use uuid::Uuid;

use super::{DirectoryEvent, EntryReserved, NameReserved};
use crate::aggregate::{Aggregate, Unfoldable};
use crate::value::{Name, Region, Subnet, Timestamp};

/// What is held for one subcloud.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The small integer id.
    pub id: i64,
    /// Its name.
    pub name: Name,
    /// A second name, while it is being renamed.
    pub next_name: Option<Name>,
    /// Its region.
    pub region: Region,
    /// Its management or admin subnet.
    pub subnet: Subnet,
    /// Its group.
    pub group_id: i64,
    /// When it, or its second name, was last reserved.
    pub reserved_at: Timestamp,
    /// Whether its stream has begun.
    pub confirmed: bool,
}

/// Names, regions, subnets, groups and ids of all subclouds.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    last_id: i64,
    entries: Map<Uuid, Entry>,
    by_id: Map<i64, Uuid>,
    by_name: Map<Name, Uuid>,
    by_region: Map<Region, Uuid>,
    unsettled: Map<Uuid, ()>,
}

impl Directory {
    /// The one directory's stream is named by kind alone.
    pub const STREAM: &'static str = "directory-subcloud";

    /// The id the next subcloud gets.
    pub const fn next_id(&self) -> i64 {
        self.last_id + 1
    }

    /// What is held for a subcloud.
    pub fn entry(&self, entity: Uuid) -> Option<&Entry> {
        self.entries.get(&entity)
    }

    /// Finds a subcloud by id.
    pub fn by_id(&self, id: i64) -> Option<Uuid> {
        self.by_id.get(&id).copied()
    }

    /// Finds a subcloud by name; while it is renamed, by either name.
    pub fn by_name(&self, name: &Name) -> Option<Uuid> {
        self.by_name.get(name).copied()
    }

    /// Finds a subcloud by region.
    pub fn by_region(&self, region: &Region) -> Option<Uuid> {
        self.by_region.get(region).copied()
    }

    /// Another subcloud whose subnet shares an address with `subnet`.
    pub fn overlapping(&self, subnet: &Subnet, except: Option<Uuid>) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|(entity, entry)| Some(**entity) != except && entry.subnet.overlaps(subnet))
            .map(|(_, entry)| entry)
    }

    /// Reservations and renames that have begun but not ended.
    pub fn unsettled(&self) -> impl Iterator<Item = (Uuid, &Entry)> {
        self.unsettled.keys().filter_map(|entity| Some((*entity, self.entries.get(entity)?)))
    }

    /// Every entry.
    pub fn entries(&self) -> impl Iterator<Item = (Uuid, &Entry)> {
        self.entries.iter().map(|(entity, entry)| (*entity, entry))
    }

    fn reserve(&mut self, reserved: &EntryReserved) {
        let entity = reserved.entity;
        self.last_id = self.last_id.max(reserved.id);
        self.by_id.insert_mut(reserved.id, entity);
        self.by_name.insert_mut(reserved.name.clone(), entity);
        self.by_region.insert_mut(reserved.region.clone(), entity);
        self.unsettled.insert_mut(entity, ());
        let entry = Entry {
            id: reserved.id,
            name: reserved.name.clone(),
            next_name: None,
            region: reserved.region.clone(),
            subnet: reserved.subnet.clone(),
            group_id: reserved.group_id,
            reserved_at: reserved.at,
            confirmed: false,
        };
        self.entries.insert_mut(entity, entry);
    }

    fn release(&mut self, entity: Uuid) -> Option<()> {
        let entry = self.entries.get(&entity)?.clone();
        self.entries.remove_mut(&entity);
        self.by_id.remove_mut(&entry.id);
        self.by_name.remove_mut(&entry.name);
        self.by_region.remove_mut(&entry.region);
        if let Some(name) = entry.next_name {
            self.by_name.remove_mut(&name);
        }
        self.unsettled.remove_mut(&entity);
        Some(())
    }

    fn reserve_name(&mut self, reserved: &NameReserved) -> Option<()> {
        let NameReserved { entity, name, at } = reserved.clone();
        let entry = self.entries.get_mut(&entity)?;
        entry.next_name = Some(name.clone());
        entry.reserved_at = at;
        self.by_name.insert_mut(name, entity);
        self.unsettled.insert_mut(entity, ());
        Some(())
    }

    /// Ends a rename: the entry keeps the new name, or the old one.
    fn settle_name(&mut self, entity: Uuid, renamed: bool) -> Option<()> {
        let entry = self.entries.get_mut(&entity)?;
        let next = entry.next_name.take()?;
        let dropped = if renamed { std::mem::replace(&mut entry.name, next) } else { next };
        if entry.confirmed {
            self.unsettled.remove_mut(&entity);
        }
        self.by_name.remove_mut(&dropped);
        Some(())
    }

    fn confirm(&mut self, entity: Uuid) -> Option<()> {
        let entry = self.entries.get_mut(&entity)?;
        entry.confirmed = true;
        if entry.next_name.is_none() {
            self.unsettled.remove_mut(&entity);
        }
        Some(())
    }
}

impl Aggregate for Directory {
    type Event = DirectoryEvent;

    const KIND: &'static str = "directory";

    fn evolve(state: Option<Self>, event: &DirectoryEvent) -> Result<Self, Unfoldable> {
        let mut state = state.unwrap_or_default();
        let folded = match event {
            DirectoryEvent::EntryReserved(reserved) => {
                state.reserve(reserved);
                Some(())
            }
            DirectoryEvent::EntryConfirmed(confirmed) => state.confirm(confirmed.entity),
            DirectoryEvent::EntryReleased(released) => state.release(released.entity),
            DirectoryEvent::NameReserved(reserved) => state.reserve_name(reserved),
            DirectoryEvent::NameConfirmed(confirmed) => state.settle_name(confirmed.entity, true),
            DirectoryEvent::NameReleased(released) => state.settle_name(released.entity, false),
            DirectoryEvent::SubnetChanged(changed) => {
                state.entries.get_mut(&changed.entity).map(|entry| entry.subnet = changed.subnet.clone())
            }
            DirectoryEvent::GroupMembershipChanged(changed) => {
                state.entries.get_mut(&changed.entity).map(|entry| entry.group_id = changed.group_id)
            }
        };
        folded
            .map(|()| state)
            .ok_or_else(|| Unfoldable { aggregate: Self::KIND, event: format!("{event:?}") })
    }
}
