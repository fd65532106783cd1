//! The REST API: transport, resources and documents.

pub mod app;
pub mod asker;
mod deploy_files;
mod documents;
mod error_map;
mod events;
mod fields;
pub mod freshness;
mod history;
pub mod openapi;
pub mod ops;
mod phased;
pub mod platform;
pub mod policy;
mod router;
pub mod subclouds;
pub mod transport;
pub mod written;

pub use app::{App, Dirs, Parts, Settings};
pub use router::{description, router};
