//! `dcm projections`: the read models of a running server.

use std::io::{IsTerminal, Write};
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
    /// Fold the journal again, and compare the rows with what comes out. Exit code 1 if any differs.
    Verify(Verify),
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

/// What to verify.
#[derive(clap::Args)]
pub struct Verify {
    /// The read model; all of them without it.
    name: Option<String>,
    /// How many streams of each read model to fold, or `all`.
    #[arg(long, value_name = "N|all", default_value = "all", value_parser = sample)]
    sample: Sample,
    #[command(flatten)]
    output: Output,
}

/// How many streams; `None` for all.
type Sample = Option<usize>;

fn sample(text: &str) -> Result<Sample, std::num::ParseIntError> {
    match text {
        "all" => Ok(None),
        number => number.parse().map(Some),
    }
}

/// Carries it out.
pub async fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List(output) => list(output).await?,
        Command::Rebuild { name, server } => {
            line(server.post(&format!("/v1.0/projections/{}/rebuild", segment(name))).await?)?;
        }
        Command::Verify(verify) => return verify.run().await,
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

impl Verify {
    async fn run(&self) -> Result<ExitCode, Failure> {
        let query: Vec<(&str, String)> = [
            self.name.clone().map(|name| ("name", name)),
            self.sample.map(|count| ("sample", count.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut last = Value::Null;
        let server = &self.output.server;
        server
            .post_for_lines("/v1.0/projections/verify", &query, |line| {
                if let (Some(folded), Some(of)) = (line.get("folded"), line.get("of")) {
                    progress(format_args!("folded {folded} of {of}"))?;
                }
                last = line;
                Ok(())
            })
            .await?;
        if let Some(error) = last.get("error").and_then(Value::as_str) {
            return Err(Failure::Refused(error.to_owned()));
        }
        let Some(ok) = last.get("ok").and_then(Value::as_bool) else {
            return Err(Failure::Refused("the server went away before it was done".to_owned()));
        };
        if self.output.json {
            line(&last)?;
        } else {
            last.get("projections").and_then(Value::as_array).into_iter().flatten().try_for_each(verified)?;
        }
        Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Tells what was found about one read model, and every row that differs.
fn verified(model: &Value) -> Result<(), std::io::Error> {
    let field = |key: &str| model.get(key).map(ToString::to_string).unwrap_or_default();
    let name = model.get("name").and_then(Value::as_str).unwrap_or_default();
    if let Some(reason) = model.get("not_compared").and_then(Value::as_str) {
        return line(format_args!("{name:<12} not compared: {reason}"));
    }
    line(format_args!(
        "{name:<12} version {} at {}: {} rows, {} differ",
        field("version"),
        field("position"),
        field("rows"),
        field("differing")
    ))?;
    for row in model.get("differences").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
        let columns: Vec<&str> = row
            .get("columns")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let key = row.get("key").map(ToString::to_string).unwrap_or_default();
        line(format_args!("  {} {key}: {} {}", text("table"), text("problem"), columns.join(", ")))?;
    }
    Ok(())
}

/// Shows on a terminal, and only there, how far something is: each time in the same line.
fn progress(text: impl std::fmt::Display) -> Result<(), std::io::Error> {
    let mut out = std::io::stderr().lock();
    if !out.is_terminal() {
        return Ok(());
    }
    write!(out, "\r\x1b[K{text}\r")?;
    out.flush()
}
