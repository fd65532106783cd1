//! The REST API: transport, resources and documents.

pub mod app;
pub mod asker;
mod error_map;
mod events;
pub mod freshness;
mod history;
pub mod openapi;
pub mod ops;
mod router;
pub mod subclouds;
pub mod transport;
pub mod written;

pub use app::{App, Dirs, Parts, Settings};
pub use router::{description, router};
