//! `dcm projections`: the read models of a running server.

use std::process::ExitCode;

use serde_json::Value;

use super::client::{Server, segment};
use super::{Failure, line};

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show version, position and lag of every read model.
    List(Output),
    /// Fill a new version from the beginning of the journal, and serve it. The old version is kept to roll back to.
    Rebuild {
        /// The read model.
        name: String,
        #[command(flatten)]
        server: Server,
    },
    /// Serve the version before the last rebuild again.
    Rollback {
        /// The read model.
        name: String,
        #[command(flatten)]
        server: Server,
    },
}

/// How to show it.
#[derive(clap::Args)]
pub struct Output {
    /// One JSON document instead of lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Carries it out.
pub async fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List(output) => list(output).await?,
        Command::Rebuild { name, server } => {
            line(server.post(&format!("/v1.0/projections/{}/rebuild", segment(name))).await?)?;
        }
        Command::Rollback { name, server } => {
            line(server.post(&format!("/v1.0/projections/{}/rollback", segment(name))).await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(output: &Output) -> Result<(), Failure> {
    let found = output.server.get("/v1.0/projections", &[]).await?;
    if output.json {
        return Ok(line(found)?);
    }
    for model in found.get("projections").and_then(Value::as_array).into_iter().flatten() {
        let field = |key: &str| model.get(key).map(ToString::to_string).unwrap_or_default();
        let name = model.get("name").and_then(Value::as_str).unwrap_or_default();
        line(format_args!(
            "{name:<12} version {} at {} lag {} events",
            field("version"),
            field("position"),
            field("lag_events")
        ))?;
    }
    Ok(())
}
