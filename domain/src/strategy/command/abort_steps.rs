//! Carry out an abort.

use serde::Serialize;

use super::{current, finished};
use crate::aggregate::{Command, Facts};
use crate::strategy::{
    Rejection, StepState, StepsChanged, StrategyEvent, StrategyState, StrategyStateChanged, SwUpdateStrategy,
};

/// Aborts every step that was not started; the others run to their own end. A strategy of which no step was started
/// ends with it (fleet.md §9.3).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AbortSteps {
    /// The strategy.
    pub id: i64,
}

impl Command<SwUpdateStrategy> for AbortSteps {
    type Rejection = Rejection;
    const NAME: &'static str = "AbortSteps";

    fn decide(
        &self,
        state: Option<&SwUpdateStrategy>,
        facts: &Facts,
    ) -> Result<Vec<StrategyEvent>, Rejection> {
        let strategy = current(state, self.id)?;
        let from = strategy.state;
        if from != StrategyState::AbortRequested {
            return Err(strategy.wrong_state());
        }
        let (steps, at) = (strategy.initial(), facts.now);
        let all_ended = strategy.unfinished().len() == steps.len();
        let end = all_ended.then(|| finished(strategy, &steps, &StepState::aborted(), at));
        let mut events = Vec::new();
        if !steps.is_empty() {
            let changed = StepsChanged {
                steps,
                stage: 3,
                state: StepState::aborted(),
                details: String::new(),
                started_at: None,
                finished_at: Some(at),
                at,
            };
            events.push(changed.into());
        }
        events.push(StrategyStateChanged { id: self.id, from, to: StrategyState::Aborting, at }.into());
        events.extend(end.map(StrategyEvent::from));
        Ok(events)
    }
}
