//! Remove a strategy.

use serde::Serialize;

use super::current;
use crate::aggregate::{Command, Facts};
use crate::strategy::{
    Rejection, StrategyDeleted, StrategyEvent, StrategyState, StrategyType, SwUpdateStrategy,
};
use crate::subcloud::SkippedCheck;

/// Removes a strategy in `deleting`, with its steps (fleet.md §9.4).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RemoveStrategy {
    /// The strategy.
    pub id: i64,
}

impl Command<SwUpdateStrategy> for RemoveStrategy {
    type Rejection = Rejection;
    const NAME: &'static str = "RemoveStrategy";

    fn decide(&self, state: Option<&SwUpdateStrategy>, _: &Facts) -> Result<Vec<StrategyEvent>, Rejection> {
        let strategy = current(state, self.id)?;
        if strategy.state != StrategyState::Deleting {
            return Err(strategy.wrong_state());
        }
        // Of a prestage there is nothing in the subclouds, and no more of steps that were never started.
        let started = strategy.steps.iter().filter(|step| step.started_at.is_some()).count();
        let left = (strategy.kind != StrategyType::Prestage && started > 0).then(|| SkippedCheck {
            check: format!("removal of the VIM strategies of {started} subclouds"),
            reason: "no VIM of subclouds is configured".to_owned(),
        });
        Ok(vec![StrategyDeleted { id: self.id, skipped: left.into_iter().collect() }.into()])
    }
}
