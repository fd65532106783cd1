//! cert-mon on real parts: an embedded journal filled with the demo fleet, the relay and an in-process bus, read
//! models, and real handshakes with the demo endpoint. Beside it the fill itself, and housekeeping.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "certmon/audits.rs"]
mod audits;
#[path = "certmon/failures.rs"]
mod failures;
#[path = "certmon/faulty.rs"]
mod faulty;
#[path = "certmon/fill.rs"]
mod fill;
#[path = "certmon/gate.rs"]
mod gate;
#[path = "certmon/housekeeping.rs"]
mod housekeeping;
#[path = "certmon/logs.rs"]
mod logs;
#[path = "certmon/notices.rs"]
mod notices;
#[path = "certmon/peering.rs"]
mod peering;
#[path = "certmon/second_subnets.rs"]
mod second_subnets;
#[path = "certmon/site.rs"]
mod site;
