//! Log lines go to standard error, as text or JSON.

use tracing_subscriber::EnvFilter;

use crate::commands::Failure;
use crate::config::{Config, LogFormat};

/// Starts logging; `RUST_LOG` overrides the configured filter.
///
/// # Errors
/// [`Failure::Start`] if the filter cannot be read.
pub fn start(config: &Config) -> Result<(), Failure> {
    let directives = std::env::var("RUST_LOG").unwrap_or_else(|_| config.log_filter.clone());
    let filter = EnvFilter::try_new(directives).map_err(|error| Failure::start("log_filter", error))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::start("log", error))
}
