//! The rules of the DC Manager, pure: state and command in, events or a typed rejection out.
//!
//! Nothing here does I/O, reads a clock or draws a random number; what is slow or random is an argument.

pub mod aggregate;
pub mod association;
pub mod audit;
pub mod deploy_files;
pub mod directory;
pub mod group;
pub mod key_directory;
pub mod options;
pub mod peer_group;
pub mod reservation;
pub mod strategy;
pub mod subcloud;
pub mod system_peer;
pub mod takeover;
pub mod validate;
pub mod value;
