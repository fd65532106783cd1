//! The journal, the vault and the bus: ports and their adapters.

pub mod bus;
mod sql;
pub mod store;
pub mod vault;

pub use sql::SqlError;
