//! Delete a subcloud.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{Rejection, Subcloud, SubcloudDeleted, SubcloudEvent};
use crate::value::{Availability, ManagementState};

/// Deletes an unmanaged subcloud that is not online and that no run works on; its history remains (subclouds.md §6.10).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeleteSubcloud;

impl Command<Subcloud> for DeleteSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "DeleteSubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let name = || state.name.to_string();
        if state.management != ManagementState::Unmanaged {
            return Err(Rejection::DeleteManaged { name: name() });
        }
        if state.availability == Availability::Online {
            return Err(Rejection::DeleteOnline { name: name() });
        }
        if state.run.is_some() || state.backup_run.is_some() {
            return Err(Rejection::RunActive { name: name() });
        }
        Ok(vec![SubcloudDeleted { name: state.name.clone() }.into()])
    }
}
