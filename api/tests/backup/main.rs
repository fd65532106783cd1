//! Backups, restores and deploy files over HTTP on real embedded stores, by the case numbers of
//! `docs/contract/subclouds.md` §14.7 and §14.8.
//!
//! Cases that are not here, and why:
//!
//! | Case | Why |
//! |---|---|
//! | 269, 271, 275 to 278 | the answer is a job's, which does not exist yet: 503 after every check |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../writes/fixture.rs"]
#[allow(dead_code, reason = "the fixture of the other writes; this program uses its part of it")]
mod fixture;
#[path = "../site/mod.rs"]
mod site;

mod create;
mod delete;
mod deploy_files;
mod given;
mod restore;
mod uploads;
