//! How strategies are built in subclouds: the default options, and those of single subclouds (fleet.md §10).
//!
//! What is kept for a deleted subcloud is out of reach: its uuid is never used again.

mod command;
mod event;
mod state;

pub use command::{ImportSwUpdateOptions, Rejection, RemoveSwUpdateOptions, SetSwUpdateOptions};
pub use event::{SwUpdateOptionsEvent, SwUpdateOptionsImported, SwUpdateOptionsRemoved, SwUpdateOptionsSet};
pub use state::{OptionValues, StoredOptions, SwUpdateOptions};
