//! The directory's state. Its maps share structure, so that a copy costs nothing however many subclouds there are.

use rpds::HashTrieMapSync as Map;
use uuid::Uuid;

use super::{
    DirectoryEvent, EntryImported, EntryReserved, GroupMoveReserved, NameReserved, SubnetChanged,
    SubnetReserved,
};
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
    /// Its management or admin subnet; `None` if it was imported without a readable one.
    pub subnet: Option<Subnet>,
    /// A second subnet, while it is being moved there.
    pub next_subnet: Option<Subnet>,
    /// Its group.
    pub group_id: i64,
    /// A second group, while it is being moved.
    pub next_group: Option<i64>,
    /// When it, its second name, subnet or group was last reserved.
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
    closed_groups: Map<i64, Timestamp>,
    /// Whether any imported entry has the region of another.
    shares_regions: bool,
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
            .find(|(entity, entry)| Some(**entity) != except && holds(entry, subnet))
            .map(|(_, entry)| entry)
    }

    /// A subcloud in a group, or on its way there.
    pub fn in_group(&self, group_id: i64) -> Option<&Entry> {
        let belongs = |entry: &&Entry| entry.group_id == group_id || entry.next_group == Some(group_id);
        self.entries.values().find(belongs)
    }

    /// When a group was closed, if it is.
    pub fn group_closed_at(&self, group_id: i64) -> Option<Timestamp> {
        self.closed_groups.get(&group_id).copied()
    }

    /// Every closed group, and when it was closed last.
    pub fn closed_groups(&self) -> impl Iterator<Item = (i64, Timestamp)> {
        self.closed_groups.iter().map(|(group_id, at)| (*group_id, *at))
    }

    /// Reservations, renames and moves that have begun but not ended.
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
            subnet: Some(reserved.subnet.clone()),
            next_subnet: None,
            group_id: reserved.group_id,
            next_group: None,
            reserved_at: reserved.at,
            confirmed: false,
        };
        self.entries.insert_mut(entity, entry);
    }

    /// Takes an entry over as it is: what another entry holds already stays found by that one.
    fn import(&mut self, imported: &EntryImported) {
        let EntryImported { entity, id, name, region, subnet, group_id, at } = imported.clone();
        self.last_id = self.last_id.max(id);
        self.by_id.insert_mut(id, entity);
        self.by_name.insert_mut(name.clone(), entity);
        if self.by_region.contains_key(&region) {
            self.shares_regions = true;
        } else {
            self.by_region.insert_mut(region.clone(), entity);
        }
        let entry = Entry {
            id,
            name,
            next_name: None,
            region,
            subnet,
            next_subnet: None,
            group_id,
            next_group: None,
            reserved_at: at,
            confirmed: true,
        };
        self.entries.insert_mut(entity, entry);
    }

    /// The region of an entry that is gone is free, or found by another that was imported with it.
    fn release_region(&mut self, entity: Uuid, region: &Region) {
        if self.by_region.get(region) != Some(&entity) {
            return;
        }
        self.by_region.remove_mut(region);
        let sharing = |(_, entry): &(&Uuid, &Entry)| self.shares_regions && entry.region == *region;
        let next = self.entries.iter().filter(sharing).min_by_key(|(_, entry)| entry.id);
        if let Some(next) = next.map(|(next, _)| *next) {
            self.by_region.insert_mut(region.clone(), next);
        }
    }

    fn release(&mut self, entity: Uuid) -> Option<()> {
        let entry = self.entries.get(&entity)?.clone();
        self.entries.remove_mut(&entity);
        self.by_id.remove_mut(&entry.id);
        self.by_name.remove_mut(&entry.name);
        self.release_region(entity, &entry.region);
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
        self.by_name.remove_mut(&dropped);
        self.look_settled(entity)
    }

    fn reserve_subnet(&mut self, reserved: &SubnetReserved) -> Option<()> {
        let entry = self.entries.get_mut(&reserved.entity)?;
        entry.next_subnet = Some(reserved.subnet.clone());
        entry.reserved_at = reserved.at;
        self.unsettled.insert_mut(reserved.entity, ());
        Some(())
    }

    /// The subcloud is at its new subnet; a move there is done.
    fn change_subnet(&mut self, changed: &SubnetChanged) -> Option<()> {
        let entry = self.entries.get_mut(&changed.entity)?;
        entry.subnet = Some(changed.subnet.clone());
        entry.next_subnet = entry.next_subnet.take().filter(|next| *next != changed.subnet);
        self.look_settled(changed.entity)
    }

    fn release_subnet(&mut self, entity: Uuid) -> Option<()> {
        self.entries.get_mut(&entity)?.next_subnet = None;
        self.look_settled(entity)
    }

    fn reserve_move(&mut self, reserved: &GroupMoveReserved) -> Option<()> {
        let entry = self.entries.get_mut(&reserved.entity)?;
        entry.next_group = Some(reserved.group_id);
        entry.reserved_at = reserved.at;
        self.unsettled.insert_mut(reserved.entity, ());
        Some(())
    }

    /// The subcloud is in `group_id`; a move there is done.
    fn change_group(&mut self, entity: Uuid, group_id: i64) -> Option<()> {
        let entry = self.entries.get_mut(&entity)?;
        entry.group_id = group_id;
        entry.next_group = entry.next_group.filter(|next| *next != group_id);
        self.look_settled(entity)
    }

    fn release_move(&mut self, entity: Uuid) -> Option<()> {
        self.entries.get_mut(&entity)?.next_group = None;
        self.look_settled(entity)
    }

    /// Forgets that something was under way, if nothing is any more.
    fn look_settled(&mut self, entity: Uuid) -> Option<()> {
        let entry = self.entries.get(&entity)?;
        let under_way =
            entry.next_name.is_some() || entry.next_subnet.is_some() || entry.next_group.is_some();
        if entry.confirmed && !under_way {
            self.unsettled.remove_mut(&entity);
        }
        Some(())
    }

    fn confirm(&mut self, entity: Uuid) -> Option<()> {
        let entry = self.entries.get_mut(&entity)?;
        entry.confirmed = true;
        self.look_settled(entity)
    }
}

fn holds(entry: &Entry, subnet: &Subnet) -> bool {
    [&entry.subnet, &entry.next_subnet].into_iter().flatten().any(|held| held.overlaps(subnet))
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
            DirectoryEvent::EntryImported(imported) => {
                state.import(imported);
                Some(())
            }
            DirectoryEvent::EntryConfirmed(confirmed) => state.confirm(confirmed.entity),
            DirectoryEvent::EntryReleased(released) => state.release(released.entity),
            DirectoryEvent::NameReserved(reserved) => state.reserve_name(reserved),
            DirectoryEvent::NameConfirmed(confirmed) => state.settle_name(confirmed.entity, true),
            DirectoryEvent::NameReleased(released) => state.settle_name(released.entity, false),
            DirectoryEvent::SubnetChanged(changed) => state.change_subnet(changed),
            DirectoryEvent::SubnetReserved(reserved) => state.reserve_subnet(reserved),
            DirectoryEvent::SubnetReleased(released) => state.release_subnet(released.entity),
            DirectoryEvent::GroupMembershipChanged(changed) => {
                state.change_group(changed.entity, changed.group_id)
            }
            DirectoryEvent::GroupMoveReserved(reserved) => state.reserve_move(reserved),
            DirectoryEvent::GroupMoveReleased(released) => state.release_move(released.entity),
            DirectoryEvent::GroupClosed(closed) => {
                state.closed_groups.insert_mut(closed.group_id, closed.at);
                Some(())
            }
            DirectoryEvent::GroupReopened(reopened) => {
                state.closed_groups.remove_mut(&reopened.group_id);
                Some(())
            }
        };
        folded
            .map(|()| state)
            .ok_or_else(|| Unfoldable { aggregate: Self::KIND, event: format!("{event:?}") })
    }
}
