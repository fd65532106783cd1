//! Servers that the suites own.

#![allow(dead_code, reason = "no suite uses all of it")]

pub mod postgres;
