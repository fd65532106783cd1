//! The REST API: transport, resources and documents.

pub mod alarms;
pub mod app;
pub mod asker;
pub mod associations;
pub mod backup;
mod checks;
pub mod deploy;
mod deploy_files;
mod documents;
mod error_map;
mod events;
mod fields;
pub mod freshness;
pub mod groups;
mod history;
pub mod notifications;
pub mod openapi;
pub mod ops;
pub mod options;
pub mod peer_groups;
mod phased;
pub mod platform;
pub mod policy;
mod router;
mod strategy;
pub mod subclouds;
pub mod system_peers;
mod times;
pub mod transport;
pub mod written;

pub use app::{App, Dirs, Parts, Settings};
pub use router::{description, router};
