//! Update a subcloud without touching its axes.

use serde::Serialize;

use super::{Details, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::transition::Transition;
use crate::subcloud::{Rejection, Subcloud, SubcloudEvent};

/// Changes description, location, group, install or rehome data (subclouds.md §6.4).
#[derive(Clone, Debug, Default, Serialize)]
pub struct UpdateSubcloud {
    /// What changes.
    pub details: Details,
}

impl Command<Subcloud> for UpdateSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "UpdateSubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let mut events = self.details.events(state);
        events.extend(Transition::default().decide(state)?);
        Ok(events)
    }
}
