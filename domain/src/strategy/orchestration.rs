//! What the strategy needs that no worker of its type does for it: its removal, an abort before anything was started,
//! and an end if no worker comes (design, invariant 10).

use serde::Serialize;

use super::command::{AbortSteps, EndUnclaimed, RemoveStrategy};
use super::{StrategyState, SwUpdateStrategy};
use crate::value::Timestamp;

/// How long somebody has watched the strategy.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// When it was first looked at: workers that start with the watcher get their time too.
    pub since: Timestamp,
    /// The moment.
    pub now: Timestamp,
    /// How long a started strategy may wait for a worker, in microseconds.
    pub claim_within: i64,
}

/// The command that is due.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Next {
    /// It is to be removed.
    Remove(RemoveStrategy),
    /// What was not started of it is to be aborted.
    AbortSteps(AbortSteps),
    /// No worker took it in its time.
    EndUnclaimed(EndUnclaimed),
}

/// What is due now, if anything is.
pub fn next(state: &SwUpdateStrategy, watch: Watch) -> Option<Next> {
    let strategy = state.current.as_ref()?;
    let id = strategy.id;
    match strategy.state {
        StrategyState::Deleting => Some(Next::Remove(RemoveStrategy { id })),
        StrategyState::AbortRequested => Some(Next::AbortSteps(AbortSteps { id })),
        state if state.is_under_way() && strategy.worker.is_none() => {
            let waited = watch.now.micros().saturating_sub(strategy.since.max(watch.since).micros());
            (waited >= watch.claim_within).then_some(Next::EndUnclaimed(EndUnclaimed { id }))
        }
        _ => None,
    }
}
