//! What every journal adapter owes its callers, checked on every engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "store/cluster.rs"]
mod cluster;
#[path = "store/contract.rs"]
mod contract;
#[path = "store/crash.rs"]
mod crash;
#[path = "store/esdb.rs"]
mod esdb;
#[path = "store/events.rs"]
mod events;
#[path = "store/proxy.rs"]
mod proxy;
#[path = "store/scratch.rs"]
mod scratch;
#[path = "store/server.rs"]
mod server;
#[path = "store/site.rs"]
mod site;
