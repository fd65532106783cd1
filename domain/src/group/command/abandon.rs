//! Close a stream whose group was reserved but never begun.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::group::{Rejection, SubcloudGroup, SubcloudGroupAbandoned, SubcloudGroupEvent};

/// Makes sure a stale reservation's group can never begin; refused if it has (design, reservation protocol).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AbandonSubcloudGroup {
    /// The id that was reserved.
    pub id: i64,
}

impl Command<SubcloudGroup> for AbandonSubcloudGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "AbandonSubcloudGroup";

    fn decide(&self, state: Option<&SubcloudGroup>, _: &Facts) -> Result<Vec<SubcloudGroupEvent>, Rejection> {
        match state {
            None => {
                Ok(vec![SubcloudGroupEvent::SubcloudGroupAbandoned(SubcloudGroupAbandoned { id: self.id })])
            }
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
