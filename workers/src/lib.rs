//!

pub mod certmon;
pub mod demo;
