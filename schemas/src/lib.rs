//! Everything that crosses the border of the process: the event envelope, names and versions, positions.

pub mod envelope;
pub mod position;
pub mod stream;

pub use envelope::{BrokenChain, CommandRecord, Envelope, Recorded};
pub use position::{JournalId, Position};
pub use stream::StreamId;
pub mod registry;
