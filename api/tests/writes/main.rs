//! Writes over HTTP on real embedded stores, by the case numbers of `docs/contract/subclouds.md` §14.
//!
//! Cases of §14.3 to §14.6 that are not here, and why:
//!
//! | Case | Why |
//! |---|---|
//! | 123 | the old manager could refuse after the row was stored; here nothing is stored then |
//! | 163 | decided otherwise: the change stays and the notification is made again (decisions.md) |
//! | 174 | with the other cases of peer groups, in the tests of the fleet |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../site/mod.rs"]
mod site;

mod create;
mod create_install;
mod fixture;
mod imported;
mod migrate;
mod network;
mod phased;
mod prestage;
mod race;
mod redeploy;
mod secrets;
mod update;
mod verbs;
