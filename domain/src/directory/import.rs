//! Take entries over from an existing installation.

use serde::Serialize;
use uuid::Uuid;

use super::{Directory, DirectoryEvent, EntryImported, Rejection};
use crate::aggregate::{Command, Facts};
use crate::value::{Name, Region, Subnet};

/// Enters subclouds with what they held elsewhere, duplicates and overlaps included (decisions.md, "Import"). Those that
/// are entered already are left as they are.
#[derive(Clone, Debug, Serialize)]
pub struct ImportEntries {
    /// The subclouds, in the order in which they are to be found where they share something.
    pub entries: Vec<EntryToImport>,
}

/// What a subcloud held.
#[derive(Clone, Debug, Serialize)]
pub struct EntryToImport {
    /// Uuid of the subcloud.
    pub entity: Uuid,
    /// Its id, kept.
    pub id: i64,
    /// Its name, kept.
    pub name: Name,
    /// Its region, kept.
    pub region: Region,
    /// Its management or admin subnet, if it had a readable one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<Subnet>,
    /// Its group; 0 if it had none.
    pub group_id: i64,
}

impl Command<Directory> for ImportEntries {
    type Rejection = Rejection;
    const NAME: &'static str = "ImportEntries";

    fn decide(&self, state: Option<&Directory>, facts: &Facts) -> Result<Vec<DirectoryEvent>, Rejection> {
        let is_new = |entry: &&EntryToImport| state.is_none_or(|known| known.entry(entry.entity).is_none());
        Ok(self.entries.iter().filter(is_new).cloned().map(|entry| entry.into_event(facts).into()).collect())
    }
}

impl EntryToImport {
    fn into_event(self, facts: &Facts) -> EntryImported {
        let Self { entity, id, name, region, subnet, group_id } = self;
        EntryImported { entity, id, name, region, subnet, group_id, at: facts.now }
    }
}
