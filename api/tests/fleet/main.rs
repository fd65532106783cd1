//! Groups, peers and strategies over HTTP on real embedded stores, by the case numbers of `docs/contract/fleet.md` §16.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alarms;
mod ask;
mod groups;
mod notifications;
mod options;
mod race;
#[path = "../site/mod.rs"]
mod site;
mod strategy;
