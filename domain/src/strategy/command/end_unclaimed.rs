//! End a strategy that nobody works on.

use serde::Serialize;

use super::{current, finished};
use crate::aggregate::{Command, Facts};
use crate::strategy::{Rejection, StepState, StepsChanged, StrategyEvent, SwUpdateStrategy};

/// Ends a started strategy that no worker took in its time: what has not ended yet fails (design §8).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EndUnclaimed {
    /// The strategy.
    pub id: i64,
}

impl Command<SwUpdateStrategy> for EndUnclaimed {
    type Rejection = Rejection;
    const NAME: &'static str = "EndUnclaimed";

    fn decide(
        &self,
        state: Option<&SwUpdateStrategy>,
        facts: &Facts,
    ) -> Result<Vec<StrategyEvent>, Rejection> {
        let strategy = current(state, self.id)?;
        if !strategy.state.is_under_way() {
            return Err(strategy.wrong_state());
        }
        if strategy.worker.is_some() {
            return Err(Rejection::Claimed);
        }
        let (steps, at) = (strategy.unfinished(), facts.now);
        let end = finished(strategy, &steps, &StepState::failed(), at);
        let mut events = Vec::new();
        if !steps.is_empty() {
            let changed = StepsChanged {
                steps,
                stage: 3,
                state: StepState::failed(),
                details: format!("no worker for {}", strategy.kind),
                started_at: None,
                finished_at: Some(at),
                at,
            };
            events.push(changed.into());
        }
        events.push(end.into());
        Ok(events)
    }
}
