//! The REST API: transport, resources and documents.

mod alarms;
pub mod app;
pub mod asker;
pub mod backup;
pub mod deploy;
mod deploy_files;
mod checks;
mod documents;
mod error_map;
mod events;
mod fields;
pub mod freshness;
mod groups;
mod history;
mod notifications;
pub mod openapi;
pub mod ops;
mod options;
mod phased;
pub mod platform;
pub mod policy;
mod router;
mod strategy;
pub mod subclouds;
pub mod transport;
pub mod written;

pub use app::{App, Dirs, Parts, Settings};
pub use router::{description, router};
