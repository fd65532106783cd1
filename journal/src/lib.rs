//! The journal, the vault and the bus: ports and their adapters.

pub mod bus;
pub mod collection;
pub mod collections;
pub mod conformance;
pub mod fleet;
pub mod lease;
pub mod outage;
mod peering;
pub mod repository;
pub mod singleton;
mod sql;
pub mod store;
pub mod strategy;
pub mod trace;
pub mod transfer;
pub mod vault;

pub use sql::{SqlError, trusting, whole};
