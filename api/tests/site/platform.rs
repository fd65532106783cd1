//! A platform of a test's own: it tells what it was told to tell, and nothing else is configured.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dcm_api::platform::{LocalSystem, Platform, PlatformError};
use dcm_domain::value::{Region, Secret};

/// What the platform answers to each question.
#[derive(Clone, Debug)]
pub struct Facts {
    pub local_system: Result<LocalSystem, PlatformError>,
    pub patching: Result<bool, PlatformError>,
    pub upgrade: Result<bool, PlatformError>,
    pub loads: Result<Vec<String>, PlatformError>,
    pub system_mode: Result<String, PlatformError>,
    pub health: Result<String, PlatformError>,
    pub oam_floating_ip: Result<Option<String>, PlatformError>,
    pub out_of_date: Result<bool, PlatformError>,
    pub live_region: Result<Region, PlatformError>,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            local_system: Err(PlatformError::NotConfigured("local system")),
            patching: Err(PlatformError::NotConfigured("patching service")),
            upgrade: Err(PlatformError::NotConfigured("platform inventory")),
            loads: Err(PlatformError::NotConfigured("platform inventory")),
            system_mode: Err(PlatformError::NotConfigured("subcloud inventory")),
            health: Err(PlatformError::NotConfigured("subcloud inventory")),
            oam_floating_ip: Err(PlatformError::NotConfigured("subcloud inventory")),
            out_of_date: Err(PlatformError::NotConfigured("fault management")),
            live_region: Err(PlatformError::NotConfigured("access to live subclouds")),
        }
    }
}

/// Something that is configured and does not answer.
pub fn silent<T>() -> Result<T, PlatformError> {
    Err(PlatformError::Failed("connection refused".to_owned()))
}

/// A platform whose facts a test changes while it is used.
#[derive(Clone, Debug, Default)]
pub struct FakePlatform(Arc<Mutex<Facts>>);

impl FakePlatform {
    /// Changes what it tells from now on.
    pub fn tells(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.0.lock().unwrap());
    }

    fn facts(&self) -> Facts {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Platform for FakePlatform {
    async fn local_system(&self) -> Result<LocalSystem, PlatformError> {
        self.facts().local_system
    }

    async fn patching_in_progress(&self) -> Result<bool, PlatformError> {
        self.facts().patching
    }

    async fn upgrade_in_progress(&self) -> Result<bool, PlatformError> {
        self.facts().upgrade
    }

    async fn loads(&self) -> Result<Vec<String>, PlatformError> {
        self.facts().loads
    }

    async fn system_mode(&self, _: &Region) -> Result<String, PlatformError> {
        self.facts().system_mode
    }

    async fn health(&self, _: &Region) -> Result<String, PlatformError> {
        self.facts().health
    }

    async fn oam_floating_ip(&self, _: &Region) -> Result<Option<String>, PlatformError> {
        self.facts().oam_floating_ip
    }

    async fn configuration_out_of_date(&self, _: &Region) -> Result<bool, PlatformError> {
        self.facts().out_of_date
    }

    async fn live_region(&self, _: &str, _: &Secret) -> Result<Region, PlatformError> {
        self.facts().live_region
    }
}
