//! The commands of the directory about groups: who is in which, and which can be joined.

use serde::Serialize;
use uuid::Uuid;

use super::command::{Rejection, check_open, known};
use super::{
    Directory, DirectoryEvent, GroupClosed, GroupMembershipChanged, GroupMoveReleased, GroupMoveReserved,
    GroupReopened,
};
use crate::aggregate::{Command, Facts};
use crate::value::Timestamp;

/// Reserves a place in another group, for a move; nothing happens if the subcloud is in it. Refused while any move is
/// under way, even one to the same group: whoever holds a reservation must be the only one to confirm or release it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReserveGroupMove {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// The group to be, which exists.
    pub group_id: i64,
}

impl Command<Directory> for ReserveGroupMove {
    type Rejection = Rejection;
    const NAME: &'static str = "ReserveGroupMove";

    fn decide(&self, state: Option<&Directory>, facts: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        let entry = known(state, self.entity)?;
        if entry.next_group.is_some() {
            return Err(Rejection::MoveUnderWay);
        }
        if entry.group_id == self.group_id {
            return Ok(Vec::new());
        }
        state.map_or(Ok(()), |directory| check_open(directory, self.group_id))?;
        let Self { entity, group_id } = *self;
        Ok(vec![GroupMoveReserved { entity, group_id, at: facts.now }.into()])
    }
}

/// Moves the subcloud to another group, reserved or not; a group that is closed takes none that has not reserved.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MoveToGroup {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// The group, which exists.
    pub group_id: i64,
}

impl Command<Directory> for MoveToGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "MoveToGroup";

    fn decide(&self, state: Option<&Directory>, _: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        let entry = known(state, self.entity)?;
        if entry.group_id == self.group_id {
            return Ok(Vec::new());
        }
        if entry.next_group != Some(self.group_id) {
            state.map_or(Ok(()), |directory| check_open(directory, self.group_id))?;
        }
        Ok(vec![GroupMembershipChanged { entity: self.entity, group_id: self.group_id }.into()])
    }
}

/// The move came to nothing; nothing happens if it is not the one under way.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReleaseGroupMove {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// The group that was reserved.
    pub group_id: i64,
}

impl Command<Directory> for ReleaseGroupMove {
    type Rejection = Rejection;
    const NAME: &'static str = "ReleaseGroupMove";

    fn decide(&self, state: Option<&Directory>, _: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        match known(state, self.entity)?.next_group == Some(self.group_id) {
            true => Ok(vec![GroupMoveReleased { entity: self.entity }.into()]),
            false => Ok(Vec::new()),
        }
    }
}

/// Keeps subclouds from joining a group that is to be deleted; refused if one is in it. Closing again renews the moment
/// from which the deletion has its time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CloseGroup {
    /// The group.
    pub group_id: i64,
}

impl Command<Directory> for CloseGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "CloseGroup";

    fn decide(&self, state: Option<&Directory>, facts: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        let group_id = self.group_id;
        match state.and_then(|directory| directory.in_group(group_id)) {
            Some(_) => Err(Rejection::GroupNotEmpty),
            None => Ok(vec![GroupClosed { group_id, at: facts.now }.into()]),
        }
    }
}

/// The deletion came to nothing; nothing happens if the group was closed again since.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReopenGroup {
    /// The group.
    pub group_id: i64,
    /// When it was closed for the deletion that came to nothing.
    pub closed_at: Timestamp,
}

impl Command<Directory> for ReopenGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "ReopenGroup";

    fn decide(&self, state: Option<&Directory>, _: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        let closed_at = state.and_then(|directory| directory.group_closed_at(self.group_id));
        match closed_at == Some(self.closed_at) {
            true => Ok(vec![GroupReopened { group_id: self.group_id }.into()]),
            false => Ok(Vec::new()),
        }
    }
}
