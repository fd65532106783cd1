//! `dcm vault`: the keys that secrets are sealed with.

use std::path::PathBuf;
use std::process::ExitCode;

use dcm_journal::vault;

use super::{Failure, line};
use crate::config::{Flags, environment, load};
use crate::serve::lock;

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Seal everything that is still under an older key with the last key of the key file. After it the older keys can be
    /// taken out of the file. Servers may run meanwhile, if every one of them was started with that key file.
    Reseal(Place),
}

/// Where the vault is.
#[derive(clap::Args)]
pub struct Place {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "DCM_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of embedded stores [default: .dcm].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Journal, beside which the vault is by default [default: embedded:].
    #[arg(long, value_name = "URL")]
    journal: Option<String>,
    /// Vault: embedded: or postgres://… [default: beside the journal].
    #[arg(long, value_name = "URL")]
    vault: Option<String>,
    /// The vault's key file.
    #[arg(long, value_name = "FILE")]
    vault_key_file: Option<PathBuf>,
}

/// Carries it out.
///
/// # Errors
/// [`Failure::Start`] if the vault or its keys cannot be used.
pub async fn run(command: &Command) -> Result<ExitCode, Failure> {
    let Command::Reseal(Place { config, data_dir, journal, vault, vault_key_file }) = command;
    let flags = Flags {
        config: config.clone(),
        data_dir: data_dir.clone(),
        journal: journal.clone(),
        vault: vault.clone(),
        vault_key_file: vault_key_file.clone(),
        ..Flags::default()
    };
    let config = load(&flags, environment())?;
    let url = config.vault_url();
    let _lock = match url.starts_with("embedded:") {
        true => Some(lock::take(&config.data_dir)?),
        false => None,
    };
    let failed = |error: &dyn std::fmt::Display| Failure::start("vault", error);
    let vault = vault::open(url, &config.data_dir, config.vault_key_file.as_deref()).await;
    let vault = vault.map_err(|error| failed(&error))?;
    let sealed = vault.reseal().await.map_err(|error| failed(&error))?;
    line(format_args!("{sealed} entries were under an older key; none is any more"))?;
    Ok(ExitCode::SUCCESS)
}
