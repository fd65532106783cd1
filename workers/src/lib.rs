//!

pub mod certmon;
pub mod demo;
pub mod playbook;
