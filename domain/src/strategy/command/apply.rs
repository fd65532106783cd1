//! Start the strategy.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::strategy::{
    Rejection, StrategyApplied, StrategyEvent, StrategyState, StrategyType, SwUpdateStrategy,
};

/// Starts an `initial` strategy (fleet.md §8.7, F32).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ApplyStrategy {
    /// Only a strategy of this type is meant.
    pub kind: Option<StrategyType>,
}

impl Command<SwUpdateStrategy> for ApplyStrategy {
    type Rejection = Rejection;
    const NAME: &'static str = "ApplyStrategy";

    fn decide(
        &self,
        state: Option<&SwUpdateStrategy>,
        facts: &Facts,
    ) -> Result<Vec<StrategyEvent>, Rejection> {
        let strategy = existing(state, self.kind)?;
        match strategy.state {
            StrategyState::Initial => Ok(vec![StrategyApplied { id: strategy.id, at: facts.now }.into()]),
            _ => Err(strategy.wrong_state()),
        }
    }
}
