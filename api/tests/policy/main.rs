//! Who may do what, over HTTP: every operation for every kind of caller, and an operator's policy files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod defaults;
mod files;
mod operations;
mod remote;
#[path = "../site/mod.rs"]
mod site;

use dcm_api::router;
use dcm_api::transport::{Authentication, TransportSettings};
use site::{Answer, Site};

/// Someone who asks: roles as the header has them, and a project.
#[derive(Clone, Copy, Debug)]
struct Asking {
    roles: &'static str,
    project: Option<&'static str>,
}

const ADMIN: Asking = Asking { roles: "admin,member,reader", project: Some("admin") };
const READER: Asking = Asking { roles: "reader", project: Some("admin") };
const MEMBER_OF_DEMO: Asking = Asking { roles: "member", project: Some("demo") };
const NOBODY: Asking = Asking { roles: "", project: None };

/// A controller behind a trusted proxy that says who asks.
async fn behind_a_proxy() -> Site {
    let mut site = Site::start().await;
    let settings =
        TransportSettings { authentication: Authentication::Headers, ..TransportSettings::default() };
    site.router = router(site.app.clone(), settings);
    site
}

/// A request without a body.
async fn ask(site: &Site, who: Asking, method: &str, path: &str) -> Answer {
    let mut headers = vec![
        ("accept", "application/json"),
        ("x-identity-status", "Confirmed"),
        ("x-user-id", "3d76d3c1"),
        ("x-role", who.roles),
    ];
    headers.extend(who.project.map(|project| ("x-project-name", project)));
    site.ask(method, path, &headers, "").await
}
