//! The REST API: transport, resources and documents.

pub mod app;
pub mod asker;
mod error_map;
pub mod freshness;
pub mod ops;
pub mod subclouds;
pub mod transport;
pub mod written;

pub use app::{App, Dirs, Parts, Settings};
