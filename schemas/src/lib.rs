//! Everything that crosses the border of the process: the event envelope, names, versions and positions, the subjects
//! and headers of messages, and the documents that describe them.

pub mod asyncapi;
mod canonical;
pub mod cloudevents;
pub mod documents;
pub mod envelope;
pub mod hint;
pub mod json_schema;
pub mod position;
pub mod registry;
pub mod stream;
pub mod subjects;

pub use envelope::{BrokenChain, CommandRecord, Envelope, Recorded};
pub use position::{JournalId, Position};
pub use stream::StreamId;
