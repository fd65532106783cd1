//! Groups, peers and strategies over HTTP on real embedded stores, by the case numbers of `docs/contract/fleet.md` §16.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alarms;
mod ask;
mod associations;
mod groups;
mod migration;
mod notifications;
mod options;
mod paths;
mod peer_groups;
mod peering_race;
mod peers;
mod race;
#[path = "../site/mod.rs"]
mod site;
mod strategy;
mod system_peers;
