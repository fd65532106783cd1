//! Take over a strategy of an existing installation.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::strategy::{
    ImportedStep, Rejection, StepsImported, StrategyEvent, StrategyImported, SwUpdateStrategy,
};

/// Steps that one event names.
const STEPS_PER_EVENT: usize = 250;

/// Takes over a strategy with its steps, as old rows have them; the same one again changes nothing.
#[derive(Clone, Debug, Serialize)]
pub struct ImportStrategy {
    /// The strategy.
    pub strategy: StrategyImported,
    /// Its steps, by id. Not recorded: the events hold them.
    #[serde(skip)]
    pub steps: Vec<ImportedStep>,
}

impl Command<SwUpdateStrategy> for ImportStrategy {
    type Rejection = Rejection;
    const NAME: &'static str = "ImportStrategy";

    fn decide(&self, state: Option<&SwUpdateStrategy>, _: &Facts) -> Result<Vec<StrategyEvent>, Rejection> {
        match state.and_then(|state| state.current.as_ref()) {
            Some(existing) if existing.id == self.strategy.id && existing.kind == self.strategy.kind => {
                Ok(Vec::new())
            }
            Some(existing) => Err(Rejection::Exists(existing.kind)),
            None => {
                let steps = self.steps.chunks(STEPS_PER_EVENT);
                let steps = steps.map(|steps| StepsImported { steps: steps.to_vec() }.into());
                Ok(std::iter::once(self.strategy.clone().into()).chain(steps).collect())
            }
        }
    }
}
