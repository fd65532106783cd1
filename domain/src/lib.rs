//! The rules of the DC Manager, pure: state and command in, events or a typed rejection out.
//!
//! Nothing here does I/O, reads a clock or draws a random number; what is slow or random is an argument.

pub mod aggregate;
pub mod directory;
pub mod group;
pub mod key_directory;
pub mod reservation;
pub mod strategy;
pub mod subcloud;
pub mod validate;
pub mod value;
