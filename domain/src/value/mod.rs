//! Value types: what the aggregates, events and commands are made of.

mod actor;
mod time;

pub use actor::Actor;
pub use time::Timestamp;
