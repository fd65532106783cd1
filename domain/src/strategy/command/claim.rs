//! Take a started strategy.

use serde::Serialize;

use super::current;
use crate::aggregate::{Command, Facts};
use crate::strategy::{Rejection, StrategyClaimed, StrategyEvent, SwUpdateStrategy};

/// A worker takes a strategy that was started; the first one wins.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimStrategy {
    /// The strategy.
    pub id: i64,
    /// The worker.
    pub worker: String,
}

impl Command<SwUpdateStrategy> for ClaimStrategy {
    type Rejection = Rejection;
    const NAME: &'static str = "ClaimStrategy";

    fn decide(&self, state: Option<&SwUpdateStrategy>, _: &Facts) -> Result<Vec<StrategyEvent>, Rejection> {
        let strategy = current(state, self.id)?;
        match &strategy.worker {
            _ if !strategy.state.is_under_way() => Err(strategy.wrong_state()),
            Some(_) => Err(Rejection::Claimed),
            None => Ok(vec![StrategyClaimed { id: self.id, worker: self.worker.clone() }.into()]),
        }
    }
}
