//! What the platform around the controller knows and this program does not keep: one narrow port.
//!
//! Each question is answered, or not: because nothing that could answer is configured, or because what is configured
//! failed. A check whose fact is not configured is skipped, and the skip is recorded (design §8); a fact that an answer
//! cannot do without is an error that names what is missing.

use async_trait::async_trait;
use dcm_domain::value::{Region, Secret};

/// Why the platform did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Nothing is configured that could answer; names what is missing (`platform inventory`, `patching service`, …).
    #[error("no {0} is configured")]
    NotConfigured(&'static str),
    /// What is configured did not answer; says why, without secrets.
    #[error("{0}")]
    Failed(String),
}

/// The system this controller is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSystem {
    /// UUID of the system in its platform inventory, as text.
    pub uuid: String,
    /// Name of the system there.
    pub name: String,
}

/// What the controller's platform, and the subclouds' own platforms, can be asked.
#[async_trait]
pub trait Platform: Send + Sync {
    /// The system this controller is (fleet.md §3.2).
    async fn local_system(&self) -> Result<LocalSystem, PlatformError>;

    /// Whether a patch of the controller is partly applied or removed (subclouds.md V3).
    async fn patching_in_progress(&self) -> Result<bool, PlatformError> {
        Err(PlatformError::NotConfigured("patching service"))
    }

    /// Whether a platform upgrade of the controller is under way (subclouds.md §6.6 step 7; fleet.md §8.5).
    async fn upgrade_in_progress(&self) -> Result<bool, PlatformError> {
        Err(PlatformError::NotConfigured("platform inventory"))
    }

    /// Releases of the controller's loads: active, imported and inactive (subclouds.md §6.6 step 13; fleet.md §8.4).
    async fn loads(&self) -> Result<Vec<String>, PlatformError> {
        Err(PlatformError::NotConfigured("platform inventory"))
    }

    /// System mode of a subcloud, `simplex` for example (subclouds.md §6.6 step 14).
    async fn system_mode(&self, _region: &Region) -> Result<String, PlatformError> {
        Err(PlatformError::NotConfigured("subcloud inventory"))
    }

    /// The health report of a subcloud, as its platform words it (subclouds.md §6.6 step 16, §7.10).
    async fn health(&self, _region: &Region) -> Result<String, PlatformError> {
        Err(PlatformError::NotConfigured("subcloud inventory"))
    }

    /// Floating OAM address of a subcloud; `None` if it has none (subclouds.md §6.2).
    async fn oam_floating_ip(&self, _region: &Region) -> Result<Option<String>, PlatformError> {
        Err(PlatformError::NotConfigured("subcloud inventory"))
    }

    /// Whether an alarm says that a subcloud's configuration is not the deployed one (subclouds.md §6.2).
    async fn configuration_out_of_date(&self, _region: &Region) -> Result<bool, PlatformError> {
        Err(PlatformError::NotConfigured("fault management"))
    }

    /// The region a live subcloud says it is, asked over SSH (subclouds.md §6.3 step 11).
    async fn live_region(&self, _address: &str, _password: &Secret) -> Result<Region, PlatformError> {
        Err(PlatformError::NotConfigured("access to live subclouds"))
    }
}

/// A platform of which only what the configuration says is known.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredPlatform {
    /// The system this controller is, if the configuration says so.
    pub local_system: Option<LocalSystem>,
}

#[async_trait]
impl Platform for ConfiguredPlatform {
    async fn local_system(&self) -> Result<LocalSystem, PlatformError> {
        self.local_system.clone().ok_or(PlatformError::NotConfigured("local system"))
    }
}
