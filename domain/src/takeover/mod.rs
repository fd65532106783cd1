//! The record of a take-over: which installation the journal was filled from, and whether all of it is there.
//!
//! It is the journal's first event, so that an interrupted take-over is known again and no other begins in its place.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Command, Facts, Unfoldable};

/// An event of a take-over's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum TakeOverEvent {
    /// A take-over has begun.
    TakeOverBegun(TakeOverBegun),
    /// Everything is in the journal.
    TakeOverFinished(TakeOverFinished),
}

/// A take-over has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TakeOverBegun {
    /// Which database it reads: name and, if it tells, the system's own identifier. No address and no credentials.
    pub source: String,
    /// Digest of what it takes over, hex SHA-256: an interrupted take-over only goes on from the same.
    pub digest: String,
}

/// Everything is in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TakeOverFinished {
    /// Rows taken over, by table.
    pub rows: BTreeMap<String, u64>,
    /// How many inconsistencies were reported.
    pub findings: u64,
}

/// How far a take-over is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeOver {
    /// How it began.
    pub begun: TakeOverBegun,
    /// Whether everything is in the journal.
    pub finished: bool,
}

impl Aggregate for TakeOver {
    type Event = TakeOverEvent;

    const KIND: &'static str = "take-over";

    fn evolve(state: Option<Self>, event: &TakeOverEvent) -> Result<Self, Unfoldable> {
        match (state, event) {
            (None, TakeOverEvent::TakeOverBegun(begun)) => Ok(Self { begun: begun.clone(), finished: false }),
            (Some(state), TakeOverEvent::TakeOverFinished(_)) if !state.finished => {
                Ok(Self { finished: true, ..state })
            }
            (_, event) => Err(Unfoldable { aggregate: Self::KIND, event: format!("{event:?}") }),
        }
    }
}

/// Why a take-over is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// What the source holds is not what the take-over began with.
    #[error(
        "the source has changed since this import began; stop the old service, empty the journal and the vault, and \
         import again"
    )]
    SourceChanged,
    /// There is nothing to finish.
    #[error("no import has begun")]
    NotBegun,
}

/// Begins a take-over, or goes on with one that was interrupted.
#[derive(Clone, Debug, Serialize)]
pub struct BeginTakeOver {
    /// What is recorded.
    pub begun: TakeOverBegun,
}

impl Command<TakeOver> for BeginTakeOver {
    type Rejection = Rejection;
    const NAME: &'static str = "BeginTakeOver";

    fn decide(&self, state: Option<&TakeOver>, _: &Facts) -> Result<Vec<TakeOverEvent>, Rejection> {
        match state {
            None => Ok(vec![TakeOverEvent::TakeOverBegun(self.begun.clone())]),
            // What is finished is finished, whatever happened at the source since.
            Some(state) if state.finished || state.begun == self.begun => Ok(Vec::new()),
            Some(_) => Err(Rejection::SourceChanged),
        }
    }
}

/// Ends a take-over: everything is in the journal.
#[derive(Clone, Debug, Serialize)]
pub struct FinishTakeOver {
    /// What is recorded.
    pub finished: TakeOverFinished,
}

impl Command<TakeOver> for FinishTakeOver {
    type Rejection = Rejection;
    const NAME: &'static str = "FinishTakeOver";

    fn decide(&self, state: Option<&TakeOver>, _: &Facts) -> Result<Vec<TakeOverEvent>, Rejection> {
        match state {
            None => Err(Rejection::NotBegun),
            Some(state) if state.finished => Ok(Vec::new()),
            Some(_) => Ok(vec![TakeOverEvent::TakeOverFinished(self.finished.clone())]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::value::Timestamp;

    fn begun(digest: &str) -> TakeOverBegun {
        TakeOverBegun { source: "dcmanager".to_owned(), digest: digest.to_owned() }
    }

    fn run<C: Command<TakeOver>>(state: &mut Option<TakeOver>, command: &C) -> Result<usize, C::Rejection> {
        let facts = Facts { now: Timestamp::from_micros(0) };
        let events = command.decide(state.as_ref(), &facts)?;
        for event in &events {
            *state = Some(TakeOver::evolve(state.take(), event).unwrap());
        }
        Ok(events.len())
    }

    #[test]
    fn goes_on_from_the_same_source_only_until_it_is_finished() {
        let mut state = None;
        let finish = FinishTakeOver { finished: TakeOverFinished { rows: BTreeMap::new(), findings: 0 } };
        assert_eq!(run(&mut state, &finish), Err(Rejection::NotBegun));
        assert_eq!(run(&mut state, &BeginTakeOver { begun: begun("a") }), Ok(1));
        assert_eq!(run(&mut state, &BeginTakeOver { begun: begun("a") }), Ok(0));
        assert_eq!(run(&mut state, &BeginTakeOver { begun: begun("b") }), Err(Rejection::SourceChanged));
        assert_eq!(run(&mut state, &finish), Ok(1));
        assert_eq!(run(&mut state, &finish), Ok(0));
        assert_eq!(run(&mut state, &BeginTakeOver { begun: begun("b") }), Ok(0));
    }
}
