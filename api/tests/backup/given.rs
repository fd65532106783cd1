//! What the cases start from: SC in its states, a platform that tells a health report, B+, B- and BR.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_api::platform::{LocalSystem, Platform, PlatformError};
use dcm_domain::value::Region;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::*;
use crate::site::{Answer, Site};

/// A platform where every subcloud has the same health report, or tells nothing.
pub struct Health(pub Result<&'static str, PlatformError>);

#[async_trait]
impl Platform for Health {
    async fn local_system(&self) -> Result<LocalSystem, PlatformError> {
        Err(PlatformError::NotConfigured("local system"))
    }

    async fn health(&self, _: &Region) -> Result<String, PlatformError> {
        self.0.clone().map(str::to_owned)
    }
}

/// A controller whose subclouds have this health report.
pub async fn controller_with(health: Result<&'static str, PlatformError>) -> Site {
    Site::start_on(Arc::new(Health(health)), configure).await
}

/// SC[managed online complete] with this number.
pub async fn managed(site: &Site, number: u8) -> Uuid {
    let entity = site.add(number).await;
    manage(site, entity).await;
    entity
}

/// SC[install data] with this number; its load image is there.
pub async fn installed(site: &Site, number: u8) -> Uuid {
    let entity = site.add(number).await;
    stock(site, "loads/18.03", &["boot.iso", "boot.sig"]);
    stock(site, "loads/22.12", &["boot.iso", "boot.sig"]);
    let form = Form::new().yaml("install_values", iv()).field("bmc_password", PASSWORD);
    let answer = send(site, "PATCH", &format!("/v1.0/subclouds/subcloud{number}"), &form).await;
    expect(&answer, 200, "", "given");
    entity
}

/// A JSON body with the password, `more` on top.
pub fn body(more: &Value) -> Value {
    let mut body = json!({"sysadmin_password": PASSWORD});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// B+ with `more`.
pub async fn create(site: &Site, more: Value) -> Answer {
    send_json(site, "POST", "/v1.0/subcloud-backup", &body(&more)).await
}

/// B- with exactly `body`.
pub async fn delete(site: &Site, body: Value) -> Answer {
    send_json(site, "PATCH", "/v1.0/subcloud-backup/delete/22.12", &body).await
}

/// BR with `more`.
pub async fn restore(site: &Site, more: Value) -> Answer {
    send_json(site, "PATCH", "/v1.0/subcloud-backup/restore", &body(&more)).await
}

/// The names of the subclouds in an answer.
pub fn names(answer: &Answer) -> Vec<String> {
    let all = answer.json()["subclouds"].as_array().unwrap().clone();
    all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}
