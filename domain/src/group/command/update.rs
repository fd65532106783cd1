//! Update a group.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::group::values::{check_apply_type, check_description, check_max_parallel, check_name};
use crate::group::{
    DEFAULT_GROUP_ID, GroupChanges, Rejection, SubcloudGroup, SubcloudGroupEvent, SubcloudGroupUpdated,
};

/// Changes a group's values (fleet.md §2, F5); a new name is reserved in the directory of groups.
#[derive(Clone, Debug, Serialize)]
pub struct UpdateSubcloudGroup {
    /// What is to change.
    pub changes: GroupChanges,
}

impl Command<SubcloudGroup> for UpdateSubcloudGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "UpdateSubcloudGroup";

    fn decide(&self, state: Option<&SubcloudGroup>, _: &Facts) -> Result<Vec<SubcloudGroupEvent>, Rejection> {
        let state = existing(state)?;
        let GroupChanges { name, description, update_apply_type, max_parallel_subclouds } = &self.changes;
        if self.changes.is_empty() {
            return Err(Rejection::NothingToUpdate);
        }
        if let Some(name) = name {
            check_name(name)?;
            if state.id == DEFAULT_GROUP_ID {
                return Err(Rejection::DefaultNameFixed);
            }
        }
        description.as_deref().map(check_description).transpose()?;
        update_apply_type.as_deref().map(check_apply_type).transpose()?;
        max_parallel_subclouds.map(check_max_parallel).transpose()?;
        let updated = SubcloudGroupUpdated {
            name: changed(&state.name, name),
            description: changed(&state.description, description),
            update_apply_type: changed(&state.update_apply_type, update_apply_type),
            max_parallel_subclouds: changed(&state.max_parallel_subclouds, max_parallel_subclouds),
        };
        Ok(match updated == SubcloudGroupUpdated::default() {
            true => Vec::new(),
            false => vec![SubcloudGroupEvent::SubcloudGroupUpdated(updated)],
        })
    }
}

/// The value given, unless it is the one held.
fn changed<T: Clone + PartialEq>(held: &T, given: &Option<T>) -> Option<T> {
    given.clone().filter(|given| given != held)
}
