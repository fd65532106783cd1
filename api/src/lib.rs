//! The REST API: transport, resources and documents.

pub mod transport;
