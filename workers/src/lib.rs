//! What works beside the API: the relay that fills the bus, and the roles that act on what happens.

pub mod certmon;
pub mod dead_letters;
pub mod demo;
pub mod deploy;
pub mod housekeeping;
pub mod peering;
pub mod playbook;
pub mod recovery;
pub mod relay;
#[cfg(test)]
mod simulation;
pub mod singleton;
pub mod strategy;

pub(crate) use dcm_journal::outage;
