//! Close a stream whose association was reserved but never begun.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::association::{
    PeerGroupAssociation, PeerGroupAssociationAbandoned, PeerGroupAssociationEvent, Rejection,
};

/// Makes sure a stale reservation's association can never begin; refused if it has (design, reservation protocol).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AbandonAssociation {
    /// The id that was reserved.
    pub id: i64,
}

impl Command<PeerGroupAssociation> for AbandonAssociation {
    type Rejection = Rejection;
    const NAME: &'static str = "AbandonAssociation";

    fn decide(
        &self,
        state: Option<&PeerGroupAssociation>,
        _: &Facts,
    ) -> Result<Vec<PeerGroupAssociationEvent>, Rejection> {
        match state {
            None => Ok(vec![PeerGroupAssociationAbandoned { id: self.id }.into()]),
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
