//! Ask a running strategy to start no further step.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::strategy::{
    Rejection, StrategyAbortRequested, StrategyEvent, StrategyState, StrategyType, SwUpdateStrategy,
};

/// Asks an `applying` strategy to start no further step (fleet.md §8.7, F33).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AbortStrategy {
    /// Only a strategy of this type is meant.
    pub kind: Option<StrategyType>,
}

impl Command<SwUpdateStrategy> for AbortStrategy {
    type Rejection = Rejection;
    const NAME: &'static str = "AbortStrategy";

    fn decide(
        &self,
        state: Option<&SwUpdateStrategy>,
        facts: &Facts,
    ) -> Result<Vec<StrategyEvent>, Rejection> {
        let strategy = existing(state, self.kind)?;
        match strategy.state {
            StrategyState::Applying => {
                Ok(vec![StrategyAbortRequested { id: strategy.id, at: facts.now }.into()])
            }
            _ => Err(strategy.wrong_state()),
        }
    }
}
