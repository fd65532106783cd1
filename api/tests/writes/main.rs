//! Writes over HTTP on real embedded stores, by the case numbers of `docs/contract/subclouds.md` §14.
//!
//! Cases of §14.3 to §14.6 that are not here, and why:
//!
//! | Case | Why |
//! |---|---|
//! | 73 | asks the patching service of a platform; none can be configured yet, so the check has nothing to ask |
//! | 117 | reads the region of a running subcloud; `migrate=true` ends in 422 before |
//! | 123 | the old manager could refuse after the row was stored; here nothing is stored then |
//! | 138 | network reconfiguration: its checks are here, its job does not exist yet (422) |
//! | 153, 166 | need a prestage state; nothing leads to one yet |
//! | 163 | decided otherwise: the change stays and the notification is made again (decisions.md) |
//! | 174 | needs a peer group; there are none yet |
//! | 185 to 211 | redeploy, prestage and migrate do not exist yet |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../site/mod.rs"]
mod site;

mod create;
mod create_install;
mod fixture;
mod phased;
mod race;
mod secrets;
mod update;
mod verbs;
