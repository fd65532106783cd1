//! Add a group.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::group::{GroupValues, Rejection, SubcloudGroup, SubcloudGroupAdded, SubcloudGroupEvent};

/// Starts a group's stream (fleet.md §2, F4); its id and name are reserved in the directory of groups.
#[derive(Clone, Debug, Serialize)]
pub struct AddSubcloudGroup {
    /// The id that was handed out.
    pub id: i64,
    /// What it starts with.
    pub values: GroupValues,
}

impl Command<SubcloudGroup> for AddSubcloudGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "AddSubcloudGroup";

    fn decide(&self, state: Option<&SubcloudGroup>, _: &Facts) -> Result<Vec<SubcloudGroupEvent>, Rejection> {
        let max_parallel_subclouds = self.values.check()?;
        if state.is_some() {
            return Err(Rejection::AlreadyExists);
        }
        let GroupValues { name, description, update_apply_type, .. } = self.values.clone();
        let added =
            SubcloudGroupAdded { id: self.id, name, description, update_apply_type, max_parallel_subclouds };
        Ok(vec![SubcloudGroupEvent::SubcloudGroupAdded(added)])
    }
}
