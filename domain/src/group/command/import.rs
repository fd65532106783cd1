//! Take a group over from an older installation.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::group::{Rejection, SubcloudGroup, SubcloudGroupEvent, SubcloudGroupImported};

/// Starts a group's stream with the values and times it had; none is checked (decisions.md, "Import").
#[derive(Clone, Debug, Serialize)]
pub struct ImportSubcloudGroup {
    /// What is recorded.
    pub imported: SubcloudGroupImported,
}

impl Command<SubcloudGroup> for ImportSubcloudGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "ImportSubcloudGroup";

    fn decide(&self, state: Option<&SubcloudGroup>, _: &Facts) -> Result<Vec<SubcloudGroupEvent>, Rejection> {
        match state {
            None => Ok(vec![SubcloudGroupEvent::SubcloudGroupImported(self.imported.clone())]),
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
