//! `dcm config`: looking at a configuration without starting anything.

use std::process::ExitCode;

use super::{Failure, line};
use crate::config::{Config, Flags, environment, load};

/// Says everything that is wrong with the configuration; exits with 1 if anything is.
pub fn check(flags: &Flags) -> Result<ExitCode, Failure> {
    let findings = load(flags, environment())?.check();
    for finding in &findings {
        line(finding)?;
    }
    if findings.is_empty() {
        line("the configuration is fine")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// Prints the JSON Schema of the configuration file.
pub fn schema() -> Result<ExitCode, Failure> {
    let schema = schemars::schema_for!(Config);
    line(serde_json::to_string_pretty(&schema).unwrap_or_default())?;
    Ok(ExitCode::SUCCESS)
}
