//! The commands of the strategy, one file each.

mod abort;
mod abort_steps;
mod apply;
mod claim;
mod create;
mod delete;
mod end_unclaimed;
mod import;
mod remove;

pub use abort::AbortStrategy;
pub use abort_steps::AbortSteps;
pub use apply::ApplyStrategy;
pub use claim::ClaimStrategy;
pub use create::CreateStrategy;
pub use delete::DeleteStrategy;
pub use end_unclaimed::EndUnclaimed;
pub use import::ImportStrategy;
pub use remove::RemoveStrategy;

use super::{
    Rejection, StepState, Strategy, StrategyFinished, StrategyState, StrategyType, SwUpdateStrategy,
};
use crate::value::Timestamp;

/// The strategy, if there is one, and of `kind` if that is given (fleet.md §8.7).
fn existing(state: Option<&SwUpdateStrategy>, kind: Option<StrategyType>) -> Result<&Strategy, Rejection> {
    state
        .and_then(|state| state.current.as_ref())
        .filter(|strategy| kind.is_none_or(|kind| kind == strategy.kind))
        .ok_or(Rejection::NotFound)
}

/// The strategy with this id, if it is the current one.
fn current(state: Option<&SwUpdateStrategy>, id: i64) -> Result<&Strategy, Rejection> {
    existing(state, None).and_then(|strategy| match strategy.id == id {
        true => Ok(strategy),
        false => Err(Rejection::NotFound),
    })
}

/// How a strategy ends whose steps all have, those of `ended` with `outcome` (fleet.md §9.1).
fn finished(strategy: &Strategy, ended: &[i64], outcome: &StepState, at: Timestamp) -> StrategyFinished {
    let any = |word: &StepState| {
        let ends_so = !ended.is_empty() && outcome == word;
        ends_so || strategy.steps.iter().any(|step| !ended.contains(&step.id) && step.state == *word)
    };
    let state = match () {
        () if any(&StepState::failed()) => StrategyState::Failed,
        () if any(&StepState::aborted()) => StrategyState::Aborted,
        () => StrategyState::Complete,
    };
    StrategyFinished { id: strategy.id, state, at }
}
