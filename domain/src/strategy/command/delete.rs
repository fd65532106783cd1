//! Ask for a strategy's removal.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::strategy::{Rejection, StrategyDeletionRequested, StrategyEvent, StrategyType, SwUpdateStrategy};

/// Asks for the removal of a strategy that nobody works on (fleet.md §8.7, F34).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeleteStrategy {
    /// Only a strategy of this type is meant.
    pub kind: Option<StrategyType>,
}

impl Command<SwUpdateStrategy> for DeleteStrategy {
    type Rejection = Rejection;
    const NAME: &'static str = "DeleteStrategy";

    fn decide(
        &self,
        state: Option<&SwUpdateStrategy>,
        facts: &Facts,
    ) -> Result<Vec<StrategyEvent>, Rejection> {
        let strategy = existing(state, self.kind)?;
        match strategy.state.is_deletable() {
            true => {
                let requested = StrategyDeletionRequested { id: strategy.id, reason: None, at: facts.now };
                Ok(vec![requested.into()])
            }
            false => Err(strategy.wrong_state()),
        }
    }
}
