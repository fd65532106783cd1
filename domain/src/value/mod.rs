//! Value types: what the aggregates, events and commands are made of.

mod actor;
mod secret;
mod time;

pub use actor::Actor;
pub use secret::{NotUtf8, Secret, SecretRef};
pub use time::Timestamp;
