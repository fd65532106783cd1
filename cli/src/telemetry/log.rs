//! Log lines go to standard error, as text or JSON; spans that are exported go to the collector and into no line.

use dcm_journal::trace;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use super::traces::Traces;
use crate::commands::Failure;
use crate::config::{Config, LogFormat};

/// Starts logging; `RUST_LOG` overrides the configured filter.
///
/// # Errors
/// [`Failure::Start`] if the filter cannot be read.
pub fn start(config: &Config, traces: Option<&Traces>) -> Result<(), Failure> {
    let directives = std::env::var("RUST_LOG").unwrap_or_else(|_| config.log_filter.clone());
    let failed = |error: &dyn std::fmt::Display| Failure::start("log_filter", error);
    let filter = EnvFilter::try_new(directives).map_err(|error| failed(&error))?;
    let hidden = format!("{}=off", trace::TARGET).parse().map_err(|error| failed(&error))?;
    let filter = filter.add_directive(hidden);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(false).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let started = tracing_subscriber::registry().with(lines).with(traces.map(Traces::layer)).try_init();
    started.map_err(|error| Failure::start("log", error))
}
