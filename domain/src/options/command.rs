//! The commands on options.

use serde::Serialize;
use uuid::Uuid;

use super::{
    OptionValues, SwUpdateOptions, SwUpdateOptionsEvent, SwUpdateOptionsImported, SwUpdateOptionsRemoved,
    SwUpdateOptionsSet,
};
use crate::aggregate::{Command, Facts};

/// Why a command on options is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The subcloud has no options of its own.
    #[error("Subcloud patch options not found")]
    NoOwnOptions,
    /// An import found options where there are some already.
    #[error("there are options already")]
    AlreadyThere,
}

/// Sets the options of a subcloud or the default (fleet.md §10, F37); an absent value stays as it is.
#[derive(Clone, Debug, Serialize)]
pub struct SetSwUpdateOptions {
    /// Uuid and id of the subcloud; `None` for the default.
    pub subcloud: Option<(Uuid, i64)>,
    /// What is given.
    pub values: OptionValues,
}

impl Command<SwUpdateOptions> for SetSwUpdateOptions {
    type Rejection = Rejection;
    const NAME: &'static str = "SetSwUpdateOptions";

    fn decide(
        &self,
        state: Option<&SwUpdateOptions>,
        facts: &Facts,
    ) -> Result<Vec<SwUpdateOptionsEvent>, Rejection> {
        let begun = SwUpdateOptions::default();
        let state = state.unwrap_or(&begun);
        let subcloud = self.subcloud.map(|(uuid, _)| uuid);
        let held = state.stored(subcloud);
        let values = match held {
            Some(held) => self.values.clone().over(held.values.clone()),
            None => self.values.clone(),
        };
        if held.is_some_and(|held| held.values == values) {
            return Ok(Vec::new());
        }
        let id = held.map_or_else(|| state.next_id(subcloud), |held| held.id);
        // A default that is set again is told apart from the installed one by 0.
        let fresh_id = Some(self.subcloud.map_or(0, |(_, id)| id));
        let subcloud_id = held.map_or(fresh_id, |held| held.subcloud_id);
        let set = SwUpdateOptionsSet { subcloud, id, subcloud_id, values, at: facts.now };
        Ok(vec![SwUpdateOptionsEvent::SwUpdateOptionsSet(set)])
    }
}

/// Removes the options of a subcloud, or the default; removing the default twice is once (fleet.md §10, F38).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RemoveSwUpdateOptions {
    /// Uuid of the subcloud; `None` for the default.
    pub subcloud: Option<Uuid>,
}

impl Command<SwUpdateOptions> for RemoveSwUpdateOptions {
    type Rejection = Rejection;
    const NAME: &'static str = "RemoveSwUpdateOptions";

    fn decide(
        &self,
        state: Option<&SwUpdateOptions>,
        _: &Facts,
    ) -> Result<Vec<SwUpdateOptionsEvent>, Rejection> {
        let begun = SwUpdateOptions::default();
        let subcloud = self.subcloud;
        match (state.unwrap_or(&begun).stored(subcloud), subcloud) {
            (Some(_), _) => {
                Ok(vec![SwUpdateOptionsEvent::SwUpdateOptionsRemoved(SwUpdateOptionsRemoved { subcloud })])
            }
            (None, None) => Ok(Vec::new()),
            (None, Some(_)) => Err(Rejection::NoOwnOptions),
        }
    }
}

/// Takes over every row of options, or none: an import is made once, on a stream that never began.
#[derive(Clone, Debug, Serialize)]
pub struct ImportSwUpdateOptions {
    /// The rows; without one for the default, the default counts as removed.
    pub rows: Vec<SwUpdateOptionsImported>,
}

impl Command<SwUpdateOptions> for ImportSwUpdateOptions {
    type Rejection = Rejection;
    const NAME: &'static str = "ImportSwUpdateOptions";

    fn decide(
        &self,
        state: Option<&SwUpdateOptions>,
        _: &Facts,
    ) -> Result<Vec<SwUpdateOptionsEvent>, Rejection> {
        if state.is_some() {
            return Err(Rejection::AlreadyThere);
        }
        let removed = match self.rows.iter().any(|row| row.subcloud.is_none()) {
            true => None,
            false => {
                Some(SwUpdateOptionsEvent::SwUpdateOptionsRemoved(SwUpdateOptionsRemoved { subcloud: None }))
            }
        };
        let rows = self.rows.iter().cloned().map(SwUpdateOptionsEvent::SwUpdateOptionsImported);
        Ok(removed.into_iter().chain(rows).collect())
    }
}
