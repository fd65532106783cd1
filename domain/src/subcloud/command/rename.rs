//! Rename a subcloud.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{Rejection, Subcloud, SubcloudEvent, SubcloudRenamed};
use crate::value::{DeployStatus, ManagementState, Name};

/// Gives the subcloud another name, which is reserved in the directory; the region stays (subclouds.md §6.4).
#[derive(Clone, Debug, Serialize)]
pub struct RenameSubcloud {
    /// The new name.
    pub to: Name,
}

impl Command<Subcloud> for RenameSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "RenameSubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        check_rename(state)?;
        if state.name == self.to {
            return Err(Rejection::SameName { name: self.to.to_string() });
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
