//! Take a subcloud over from an existing installation.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::subcloud::{ImportedSubcloud, Rejection, Subcloud, SubcloudEvent, SubcloudImported};

/// Starts the subcloud's stream with its old row; none of it is checked (decisions.md, "Import"). Nothing happens to a
/// stream that has begun. Recorded by its id alone, for the event says the rest.
#[derive(Clone, Debug, Serialize)]
pub struct ImportSubcloud {
    /// Its id there.
    pub id: i64,
    /// Its old row.
    #[serde(skip)]
    pub row: ImportedSubcloud,
}

impl Command<Subcloud> for ImportSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "ImportSubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        Ok(match state {
            Some(_) => Vec::new(),
            None => vec![SubcloudImported { row: self.row.clone() }.into()],
        })
    }
}
