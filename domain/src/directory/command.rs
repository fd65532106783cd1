//! The commands of the directory: each reserves, settles or frees something unique.

use serde::Serialize;
use uuid::Uuid;

use super::{
    Directory, DirectoryEvent, Entry, EntryConfirmed, EntryReleased, EntryReserved, NameConfirmed,
    NameReleased, NameReserved, SubnetChanged,
};
use crate::aggregate::{Command, Facts};
use crate::value::{Name, Region, Subnet};

/// Why the directory refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// subclouds.md §6.3 step 15.
    #[error("Subcloud with name={name} already exists")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// decisions.md, "Names".
    #[error("Subcloud with region_name={region} already exists")]
    RegionTaken {
        /// The region.
        region: String,
    },
    /// subclouds.md §6.4 step 9.
    #[error("Subcloud with name or region name {name} already exist")]
    NameOrRegionTaken {
        /// The name asked for.
        name: String,
    },
    /// subclouds.md V4; decisions.md, "Address overlaps".
    #[error("management_subnet invalid: Subnet overlaps with another configured subnet")]
    SubnetOverlaps,
    /// The group is being deleted, or is.
    #[error("Invalid group")]
    GroupClosed,
    /// Subclouds belong to the group, or are on their way into it.
    #[error("Subcloud Group not empty")]
    GroupNotEmpty,
    /// The subcloud is being moved to another group by another request; trying again is safe.
    #[error("Subcloud is being moved to another group")]
    MoveUnderWay,
    /// The subcloud is being moved to another subnet; only once that is settled can it be moved again.
    #[error("Subcloud network is being reconfigured: deployment in progress")]
    SubnetChangeUnderWay,
    /// The subcloud is not in the directory.
    #[error("Subcloud not found")]
    Unknown,
}

/// Reserves everything unique about a new subcloud, and its id.
#[derive(Clone, Debug, Serialize)]
pub struct ReserveEntry {
    /// Uuid of the subcloud to be.
    pub entity: Uuid,
    /// Its name.
    pub name: Name,
    /// Its region.
    pub region: Region,
    /// Its management or admin subnet.
    pub subnet: Subnet,
    /// Its group.
    pub group_id: i64,
}

impl Command<Directory> for ReserveEntry {
    type Rejection = Rejection;
    const NAME: &'static str = "ReserveEntry";

    fn decide(&self, state: Option<&Directory>, facts: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        let empty = Directory::default();
        let directory = state.unwrap_or(&empty);
        if directory.entry(self.entity).is_some() {
            return Ok(Vec::new());
        }
        if directory.by_name(&self.name).is_some() {
            return Err(Rejection::NameTaken { name: self.name.to_string() });
        }
        if directory.by_region(&self.region).is_some() {
            return Err(Rejection::RegionTaken { region: self.region.to_string() });
        }
        if directory.overlapping(&self.subnet, None).is_some() {
            return Err(Rejection::SubnetOverlaps);
        }
        check_open(directory, self.group_id)?;
        let Self { entity, name, region, subnet, group_id } = self.clone();
        let id = directory.next_id();
        Ok(vec![EntryReserved { entity, id, name, region, subnet, group_id, at: facts.now }.into()])
    }
}

/// The subcloud's stream has begun.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ConfirmEntry {
    /// Uuid of the subcloud.
    pub entity: Uuid,
}

impl Command<Directory> for ConfirmEntry {
    type Rejection = Rejection;
    const NAME: &'static str = "ConfirmEntry";

    fn decide(&self, state: Option<&Directory>, _: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        match known(state, self.entity)?.confirmed {
            true => Ok(Vec::new()),
            false => Ok(vec![EntryConfirmed { entity: self.entity }.into()]),
        }
    }
}

/// Frees everything the subcloud held; freeing twice is once.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReleaseEntry {
    /// Uuid of the subcloud.
    pub entity: Uuid,
}

impl Command<Directory> for ReleaseEntry {
    type Rejection = Rejection;
    const NAME: &'static str = "ReleaseEntry";

    fn decide(&self, state: Option<&Directory>, _: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        match known(state, self.entity) {
            Ok(_) => Ok(vec![EntryReleased { entity: self.entity }.into()]),
            Err(_) => Ok(Vec::new()),
        }
    }
}

/// Reserves a second name, for a rename. Refused while any rename is under way, even one to this very name: whoever
/// holds a reservation must be the only one to confirm or release it.
#[derive(Clone, Debug, Serialize)]
pub struct ReserveName {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// The name to be.
    pub name: Name,
}

impl Command<Directory> for ReserveName {
    type Rejection = Rejection;
    const NAME: &'static str = "ReserveName";

    fn decide(&self, state: Option<&Directory>, facts: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        let entry = known(state, self.entity)?;
        let taken = state.is_some_and(|directory| {
            let as_region = Region::parse(self.name.as_ref()).ok();
            let holders =
                [directory.by_name(&self.name), as_region.and_then(|region| directory.by_region(&region))];
            holders.into_iter().flatten().any(|holder| holder != self.entity)
        });
        // A rename that was left unfinished is settled first: two names at most.
        if taken || entry.name == self.name || entry.next_name.is_some() {
            return Err(Rejection::NameOrRegionTaken { name: self.name.to_string() });
        }
        Ok(vec![NameReserved { entity: self.entity, name: self.name.clone(), at: facts.now }.into()])
    }
}

/// The rename is done; nothing happens if it is not the one under way.
#[derive(Clone, Debug, Serialize)]
pub struct ConfirmName {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// The name that was reserved.
    pub name: Name,
}

impl Command<Directory> for ConfirmName {
    type Rejection = Rejection;
    const NAME: &'static str = "ConfirmName";

    fn decide(&self, state: Option<&Directory>, _: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        match known(state, self.entity)?.next_name.as_ref() == Some(&self.name) {
            true => Ok(vec![NameConfirmed { entity: self.entity }.into()]),
            false => Ok(Vec::new()),
        }
    }
}

/// The rename came to nothing; nothing happens if it is not the one under way.
#[derive(Clone, Debug, Serialize)]
pub struct ReleaseName {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// The name that was reserved.
    pub name: Name,
}

impl Command<Directory> for ReleaseName {
    type Rejection = Rejection;
    const NAME: &'static str = "ReleaseName";

    fn decide(&self, state: Option<&Directory>, _: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        match known(state, self.entity)?.next_name.as_ref() == Some(&self.name) {
            true => Ok(vec![NameReleased { entity: self.entity }.into()]),
            false => Ok(Vec::new()),
        }
    }
}

/// Moves the subcloud to another subnet.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeSubnet {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// The subnet it gets.
    pub subnet: Subnet,
}

impl Command<Directory> for ChangeSubnet {
    type Rejection = Rejection;
    const NAME: &'static str = "ChangeSubnet";

    fn decide(&self, state: Option<&Directory>, _: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        if known(state, self.entity)?.subnet.as_ref() == Some(&self.subnet) {
            return Ok(Vec::new());
        }
        if state.is_some_and(|directory| directory.overlapping(&self.subnet, Some(self.entity)).is_some()) {
            return Err(Rejection::SubnetOverlaps);
        }
        Ok(vec![SubnetChanged { entity: self.entity, subnet: self.subnet.clone() }.into()])
    }
}

pub(super) fn check_open(directory: &Directory, group_id: i64) -> Result<(), Rejection> {
    match directory.group_closed_at(group_id) {
        None => Ok(()),
        Some(_) => Err(Rejection::GroupClosed),
    }
}

pub(super) fn known(state: Option<&Directory>, entity: Uuid) -> Result<&Entry, Rejection> {
    state.and_then(|directory| directory.entry(entity)).ok_or(Rejection::Unknown)
}
