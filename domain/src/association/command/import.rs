//! Take an association over from an older installation.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::association::{
    PeerGroupAssociation, PeerGroupAssociationEvent, PeerGroupAssociationImported, Rejection,
};

/// Starts an association's stream with the values and times it had; none is checked (decisions.md, "Import").
#[derive(Clone, Debug, Serialize)]
pub struct ImportAssociation {
    /// What is recorded.
    pub imported: PeerGroupAssociationImported,
}

impl Command<PeerGroupAssociation> for ImportAssociation {
    type Rejection = Rejection;
    const NAME: &'static str = "ImportAssociation";

    fn decide(
        &self,
        state: Option<&PeerGroupAssociation>,
        _: &Facts,
    ) -> Result<Vec<PeerGroupAssociationEvent>, Rejection> {
        match state {
            None => Ok(vec![self.imported.clone().into()]),
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
