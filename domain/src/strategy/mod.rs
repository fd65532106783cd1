//! Update strategies: one ordered walk over subclouds, at most one at a time (fleet.md §8, §9).
//!
//! All strategies share one stream, so that the stream itself is the uniqueness; it hands out the ids of strategies and
//! of their steps, and uses none twice.

mod candidate;
pub mod command;
mod event;
mod evolve;
mod orchestration;
mod prestage;
mod rejection;
mod request;
mod root_ca;
mod state;
mod words;

#[cfg(test)]
mod create_tests;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod samples;

pub use candidate::Candidate;
pub use event::{
    ImportedStep, PlannedStep, StepsChanged, StepsImported, StepsPlanned, StrategyAbortRequested,
    StrategyApplied, StrategyClaimed, StrategyCreated, StrategyDeleted, StrategyDeletionRequested,
    StrategyEvent, StrategyFinished, StrategyImported, StrategyStateChanged,
};
pub use orchestration::{Next, Watch, next};
pub use rejection::Rejection;
pub use request::{Asked, GivenPassword, PlatformFacts, Scope, StrategyRequest, Work};
pub use root_ca::RootCa;
pub use state::{Step, Strategy, SwUpdateStrategy};
pub use words::{ApplyType, StepState, StrategyState, StrategyType};
