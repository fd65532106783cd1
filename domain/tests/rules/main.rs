//! The rules of a subcloud and of the directory, told as given/when/then, and as properties of random histories.
//! Tests named `sc_…` and `jb_…` are cases of subclouds.md §14 and jobs.md §7.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod abort;
mod act;
mod availability;
mod backup;
mod decision_table;
mod delete_and_rename;
mod deploy_verbs;
mod details;
mod directory;
mod directory_property;
mod endpoints;
mod groups;
mod history_property;
mod hostile;
mod imported;
mod key_directory;
mod kit;
mod lost_runs;
mod migrate;
mod model;
mod options;
mod original_change;
mod peering;
mod prestage;
mod reconfigure_network;
mod redeploy;
mod run_protocol;
mod run_samples;
mod samples;
