//! What the black-box and fault tests stand on: servers of their own, the built binary, an HTTP client, waiting.
//!
//! Every server gets a temporary directory and a free port. Nothing outlives the test process, not even when it
//! is killed: see [`guard`]. What waits for a condition polls it under a deadline ([`eventually`]).
//!
//! A harness reports what went wrong by panicking with the whole story (program, arguments, logs), because its only
//! callers are tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test harness fails by panicking"
)]

mod agreement;
mod ansible;
mod balancer;
mod client;
mod collector;
mod dcm;
mod deployment;
mod endpoint;
mod frames;
mod guard;
mod heard;
mod http;
mod installation;
mod keystone;
pub mod ledger;
mod limit;
pub mod load;
mod multipart;
mod nats;
mod needles;
mod openapi;
mod oslo;
mod playbooks;
mod postgres;
mod process;
mod raw;
mod shuffler;
mod site;
pub mod story;
mod tools;
mod wait;
mod workdir;

pub use agreement::agree;
pub use ansible::ansible_playbook;
pub use balancer::Balancer;
pub use client::client_python;
pub use collector::{Collector, Span};
pub use dcm::{Dcm, Finished, Serve, dcm_binary, dcm_command, run_dcm, run_dcm_within};
pub use deployment::{
    Audit, Deployment, Setup, Stores, Way, endpoints, entry, expected_endpoints, list_of, show,
};
pub use endpoint::HeldEndpoint;
pub use heard::{Heard, heard};
pub use http::{Answer, Http, Request};
pub use installation::{Installation, Split, on_the_example_site};
pub use keystone::Keystone;
pub use ledger::Ledger;
pub use limit::limit_files;
pub use multipart::Form;
pub use nats::{Nats, NatsCluster};
pub use needles::{Found, Needles, files_below};
pub use openapi::openapi_tool;
pub use oslo::oslo_policy_python;
pub use playbooks::{PlaybookProcess, ProcessWatch, playbook_processes};
pub use postgres::{Database, Postgres};
pub use process::is_running;
pub use raw::{RawAnswer, RawConnection, send_raw};
pub use shuffler::{Shuffler, Tally};
pub use site::{Site, encode};
pub use tools::repository;
pub use wait::eventually;
pub use workdir::WorkDir;
