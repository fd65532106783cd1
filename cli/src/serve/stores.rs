//! Everything a process opens before it starts its roles.

use std::sync::Arc;

use dcm_journal::bus::{Bus, Upkeep};
use dcm_journal::fleet::Fleet;
use dcm_journal::lease::Leases;
use dcm_journal::store::{self, Journal};
use dcm_journal::vault::{self, Vault};
use dcm_projections::ReadModels;

use super::bus;
use crate::commands::Failure;
use crate::config::Config;

/// The stores and the bus of one process.
#[derive(Clone)]
pub struct Stores {
    /// The truth.
    pub journal: Arc<dyn Journal>,
    /// Commands on it.
    pub fleet: Arc<Fleet>,
    /// Folds of it.
    pub models: Arc<ReadModels>,
    /// Secrets.
    pub vault: Arc<dyn Vault>,
    /// Copies of its events.
    pub bus: Arc<dyn Bus>,
    /// The same bus, to be kept.
    pub bus_upkeep: Arc<dyn Upkeep>,
    /// Who does what only one may do.
    pub leases: Leases,
}

impl Stores {
    /// Opens everything the configuration names.
    ///
    /// # Errors
    /// [`Failure::Start`] names the store.
    pub async fn open(config: &Config) -> Result<Self, Failure> {
        let journal = store::open(&config.journal, &config.data_dir).await;
        let journal = journal.map_err(|error| Failure::start("journal", error))?;
        let fleet = Fleet::new(&journal).map_err(|error| Failure::start("journal", error))?;
        let models = ReadModels::open(&config.read_model, &config.data_dir, journal.id()).await;
        let vault = vault::open(config.vault_url(), &config.data_dir, config.vault_key_file.as_deref()).await;
        let leases = Leases::open(&config.read_model, &config.data_dir).await;
        let bus_upkeep = bus::connect(config).await?;
        Ok(Self {
            fleet: Arc::new(fleet),
            models: models.map_err(|error| Failure::start("read models", error))?,
            vault: vault.map_err(|error| Failure::start("vault", error))?,
            bus: Arc::clone(&bus_upkeep) as Arc<dyn Bus>,
            bus_upkeep,
            leases: leases.map_err(|error| Failure::start("leases", error))?,
            journal,
        })
    }
}
