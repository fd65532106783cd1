//! `dcm import`: takes over a running installation.

use std::path::PathBuf;
use std::process::ExitCode;

use dcm_journal::{store, vault};

use super::{Failure, line};
use crate::config::{Flags, environment, load};
use crate::import::{self, Outcome, Source, Target};
use crate::serve::lock;

/// What to take over.
#[derive(clap::Subcommand)]
pub enum Command {
    /// A running DC Manager: its database is read, never written.
    Dcmanager(Args),
}

/// Where from, and where to.
#[derive(clap::Args)]
pub struct Args {
    /// Database of the running installation: postgres://USER:PASSWORD@HOST:PORT/DATABASE.
    #[arg(long, value_name = "URL", env = "DCM_IMPORT_FROM", hide_env_values = true)]
    from: String,
    /// Directory of the files beside it (bootstrap values, deploy configs, inventories), such as /opt/dc-vault/ansible.
    #[arg(long, value_name = "DIR")]
    overrides_dir: Option<PathBuf>,
    /// Say what would be done, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the whole report as JSON.
    #[arg(long)]
    json: bool,
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "DCM_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of embedded stores [default: .dcm].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Journal: embedded:, postgres://… or esdb://… [default: embedded:].
    #[arg(long, value_name = "URL")]
    journal: Option<String>,
    /// Vault: embedded: or postgres://… [default: beside the journal].
    #[arg(long, value_name = "URL")]
    vault: Option<String>,
    /// The vault's key file; made by itself only with an embedded vault.
    #[arg(long, value_name = "FILE")]
    vault_key_file: Option<PathBuf>,
}

/// Takes over what `command` names; exits with 1 if it is refused.
///
/// # Errors
/// [`Failure`] if the source cannot be read or the stores cannot be written.
pub async fn run(command: &Command) -> Result<ExitCode, Failure> {
    let Command::Dcmanager(args) = command;
    let source = Source { url: &args.from, overrides: args.overrides_dir.as_deref() };
    let report = match args.dry_run {
        true => import::dry_run(source).await,
        false => import_into(args, source).await?,
    };
    let report = report.map_err(|error| Failure::Refused(error.to_string()))?;
    match args.json {
        true => line(serde_json::to_string_pretty(&report).map_err(std::io::Error::other)?)?,
        false => line(&report)?,
    }
    let refused = report.outcome == Outcome::Refused || !report.errors.is_empty();
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn import_into(
    args: &Args,
    source: Source<'_>,
) -> Result<Result<import::Report, import::ImportError>, Failure> {
    let flags = Flags {
        config: args.config.clone(),
        data_dir: args.data_dir.clone(),
        journal: args.journal.clone(),
        vault: args.vault.clone(),
        vault_key_file: args.vault_key_file.clone(),
        ..Flags::default()
    };
    let config = load(&flags, environment())?;
    let stores = [config.journal.as_str(), config.vault_url()];
    let _lock = match stores.iter().any(|url| url.starts_with("embedded:")) {
        true => Some(lock::take(&config.data_dir)?),
        false => None,
    };
    let journal = store::open(&config.journal, &config.data_dir).await;
    let journal = journal.map_err(|error| Failure::start("journal", error))?;
    let vault = vault::open(config.vault_url(), &config.data_dir, config.vault_key_file.as_deref()).await;
    let vault = vault.map_err(|error| Failure::start("vault", error))?;
    Ok(import::run(source, &Target { journal, vault }).await)
}
