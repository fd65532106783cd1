//! Servers that the suites own.

pub mod postgres;
