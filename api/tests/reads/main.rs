//! Reads over HTTP, each against a controller of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cases;
mod events;
mod freshness;
mod history;
mod operation;
#[path = "../site/mod.rs"]
mod site;

use dcm_domain::subcloud::command::{Details, UpdateSubcloud};
use serde_json::Value;
use site::Site;
use uuid::Uuid;

/// The keys of an object, in order.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Changes the description; the position of that.
async fn describe(site: &Site, entity: Uuid, text: &str) -> String {
    let details = Details { description: Some(text.to_owned()), ..Details::default() };
    site.run(entity, &UpdateSubcloud { details }).await.position.unwrap().to_string()
}
