//! The journal on EventStoreDB / KurrentDB, over its public gRPC protocol.
//!
//! An event is one event of the store, its data the envelope byte for byte, and its order the store's own position (the
//! log position, which grows with every write of anybody). Events of other streams are left out by a filter that the
//! server applies. Everything is asked of the leader: what was appended is read at once.
//!
//! The client is our own: a call of the official one waits 40 ms for a delayed acknowledgement, and one that fails to
//! connect, or whose stream ends, stays dead or spins (architecture.md, "Journal"). Here a connection is something that
//! ends: it is thrown away on every doubt, and the next call makes a new one.

mod answer;
mod appends;
mod calls;
mod journal;
mod link;
mod open;
mod scope;
mod tail;
mod url;

pub(super) use open::{create_scratch, open, open_scratch, remove_scratch};

/// The protocol, generated from `journal/proto`. The nesting follows the packages: generated code climbs with `super::`.
pub(super) mod protocol {
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]

    tonic::include_proto!("event_store.client");
    /// Streams.
    pub(crate) mod streams {
        tonic::include_proto!("event_store.client.streams");
    }
    /// Who is in a cluster.
    pub(crate) mod gossip {
        tonic::include_proto!("event_store.client.gossip");
    }
}
