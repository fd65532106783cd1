//! `/v1.0/subclouds`.

mod advice;
pub mod reference;
pub mod render;
