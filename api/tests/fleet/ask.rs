//! Requests as clients of the fleet resources send them.

use dcm_api::router;
use dcm_api::transport::{Authentication, TransportSettings};
use dcm_domain::subcloud::Subcloud;
use dcm_domain::subcloud::command::{Details, UpdateSubcloud};
use dcm_journal::repository::Done;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::site::{Answer, PATIENCE, Site, meta};

/// A request with a JSON body, and no content type that says so.
pub async fn send(site: &Site, method: &str, path: &str, body: &Value) -> Answer {
    site.ask(method, path, &[("accept", "application/json")], &body.to_string()).await
}

/// A request without a body.
pub async fn bare(site: &Site, method: &str, path: &str) -> Answer {
    site.ask(method, path, &[("accept", "application/json")], "").await
}

/// A new controller whose read models show what it begins with.
pub async fn controller() -> Site {
    let site = Site::start().await;
    let head = site.journal.head().await.unwrap();
    assert!(site.models.progress().wait(head, PATIENCE).await);
    site
}

/// The body of a valid new group.
pub fn group(name: &str) -> Value {
    json!({
        "name": name,
        "description": "Edge sites",
        "update_apply_type": "parallel",
        "max_parallel_subclouds": 5,
    })
}

/// `body` with another value for `key`; without the key if the value is null.
pub fn with(mut body: Value, key: &str, value: Value) -> Value {
    match value.is_null() {
        true => body.as_object_mut().unwrap().shift_remove(key),
        false => body.as_object_mut().unwrap().insert(key.to_owned(), value),
    };
    body
}

/// Moves a subcloud to a group and waits until the read models show it.
pub async fn move_to(site: &Site, entity: Uuid, group_id: i64) -> Done<Subcloud> {
    let details = Details { group_id: Some(group_id), ..Details::default() };
    let done =
        site.fleet.run_moving(entity, Some(group_id), &UpdateSubcloud { details }, &meta()).await.unwrap();
    let position = done.position.unwrap();
    assert!(site.models.progress().wait(position.order, PATIENCE).await);
    done
}

/// The same controller behind a proxy that says who asks.
pub fn behind_a_proxy(mut site: Site) -> Site {
    let settings =
        TransportSettings { authentication: Authentication::Headers, ..TransportSettings::default() };
    site.router = router(site.app.clone(), settings);
    site
}

/// The headers of somebody with `roles` in `project`.
pub fn somebody<'a>(roles: &'a str, project: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("accept", "application/json"),
        ("x-identity-status", "Confirmed"),
        ("x-user-id", "3d76d3c1"),
        ("x-role", roles),
        ("x-project-name", project),
    ]
}
