//! Delete a group.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::group::{
    DEFAULT_GROUP_ID, DEFAULT_GROUP_NAME, Rejection, SubcloudGroup, SubcloudGroupDeleted, SubcloudGroupEvent,
};

/// Deletes a group that is not the default one (fleet.md §2, F6). That no subcloud is in it is made sure by closing it
/// in the directory of subclouds before.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeleteSubcloudGroup;

impl Command<SubcloudGroup> for DeleteSubcloudGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "DeleteSubcloudGroup";

    fn decide(&self, state: Option<&SubcloudGroup>, _: &Facts) -> Result<Vec<SubcloudGroupEvent>, Rejection> {
        let state = existing(state)?;
        if state.id == DEFAULT_GROUP_ID || state.name == DEFAULT_GROUP_NAME {
            return Err(Rejection::DefaultStays);
        }
        let name = state.name.clone();
        Ok(vec![SubcloudGroupEvent::SubcloudGroupDeleted(SubcloudGroupDeleted { name })])
    }
}
