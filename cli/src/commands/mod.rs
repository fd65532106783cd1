//! The operator's commands. Those that ask a running server talk HTTP to it.

pub mod bus;
pub mod client;
pub mod config;
mod conformance;
pub mod doctor;
pub mod events;
pub mod history;
pub mod import;
mod jetstream;
pub mod journal;
pub mod policy;
pub mod projections;
pub mod show;
pub mod vault;
mod whole_file;

use std::io::Write;

/// Why a command failed, in one line for a person.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The server cannot be reached, or its answer cannot be read.
    #[error("{url}: {cause}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why there is no answer.
        cause: reqwest::Error,
    },
    /// The server refused.
    #[error("{0}")]
    Refused(String),
    /// Something this process needs cannot be had.
    #[error("{what}: {cause}")]
    Start {
        /// What it is.
        what: String,
        /// Why it cannot be had.
        cause: String,
    },
    /// Standard output is gone.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

impl Failure {
    /// Something this process needs cannot be had.
    pub fn start(what: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Start { what: what.into(), cause: cause.to_string() }
    }
}

/// Writes one line to standard output; a reader that went away is an error, not a panic.
pub fn line(text: impl std::fmt::Display) -> Result<(), std::io::Error> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
