//! Rename a subcloud.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{Rejection, Subcloud, SubcloudEvent, SubcloudRenamed};
use crate::value::{DeployStatus, ManagementState, Name, Timestamp};

/// How long a reserved name may be used, in microseconds; half of what it is left alone before it is released.
const USABLE_FOR: i64 = 30_000_000;

/// Gives the subcloud another name, which is reserved in the directory; the region stays (subclouds.md §6.4).
#[derive(Clone, Debug, Serialize)]
pub struct RenameSubcloud {
    /// The new name.
    pub to: Name,
    /// When it was reserved: who comes too late may find it released, and given to another.
    pub reserved_at: Timestamp,
}

impl Command<Subcloud> for RenameSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "RenameSubcloud";

    fn decide(&self, state: Option<&Subcloud>, facts: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        check_rename(state)?;
        if state.name == self.to {
            return Err(Rejection::SameName { name: self.to.to_string() });
        }
        if facts.now.micros().saturating_sub(self.reserved_at.micros()) > USABLE_FOR {
            return Err(Rejection::ReservationStale { name: self.to.to_string() });
        }
        Ok(vec![SubcloudRenamed { from: state.name.clone(), to: self.to.clone() }.into()])
    }
}

/// Whether the subcloud may be renamed at all (subclouds.md §6.4 step 6).
///
/// # Errors
/// [`Rejection::NotRenamable`] if it is managed or in another deploy state.
pub fn check_rename(state: &Subcloud) -> Result<(), Rejection> {
    let renamable = state.management == ManagementState::Unmanaged
        && matches!(state.deploy, DeployStatus::Complete | DeployStatus::PrestageComplete);
    match renamable {
        true => Ok(()),
        false => Err(Rejection::NotRenamable { name: state.name.to_string() }),
    }
}
