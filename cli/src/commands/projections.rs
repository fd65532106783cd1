//! `dcm projections`: the read models of a running server.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::client::{Server, segment};
use super::{Failure, line};

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show version, position and lag of every read model.
    List(Output),
    /// Fill a new version from the beginning of the journal, compare it with the one that is served, and serve it. The old
    /// version is kept to roll back to. It goes on in the server when this command is ended.
    Rebuild(Rebuild),
    /// End a rebuild; what is served stays as it is.
    Cancel {
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

/// What to rebuild, and how.
#[derive(clap::Args)]
pub struct Rebuild {
    /// The read model.
    name: String,
    /// Serve the new version also if its rows differ from those that are served, as they do after a defect was put right.
    #[arg(long)]
    accept_differences: bool,
    /// Do not wait for its end; `dcm projections list` tells.
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    output: Output,
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
        Command::Rebuild(rebuild) => return rebuild.run().await,
        Command::Cancel { name, server } => {
            server.post(&format!("/v1.0/projections/{}/cancel", segment(name))).await?;
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
        if let Some(stopped) = model.get("stopped").filter(|stopped| !stopped.is_null()) {
            let text = |key: &str| stopped.get(key).and_then(Value::as_str).unwrap_or_default();
            let position = stopped.get("position").map(ToString::to_string).unwrap_or_default();
            line(format_args!("  stopped at {position} {}: {}", text("event_type"), text("reason")))?;
        }
        if let Some(rebuild) = model.get("rebuild").filter(|rebuild| !rebuild.is_null()) {
            line(format_args!("  last rebuild: {}", told(rebuild)))?;
        }
    }
    Ok(())
}

/// How far a rebuild is, or how it ended.
fn told(rebuild: &Value) -> String {
    let number = |key: &str| rebuild.get(key).and_then(Value::as_f64);
    let whole = |key: &str| rebuild.get(key).and_then(Value::as_u64);
    let phase = rebuild.get("phase").and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("version {} {phase}", whole("version").unwrap_or_default());
    let done = whole("events_done").unwrap_or_default();
    match whole("events_total") {
        Some(total) => text.push_str(&format!(", {done} of {total} events")),
        None => text.push_str(&format!(", {done} events")),
    }
    text.push_str(&format!(", {:.0}/s", number("events_per_second").unwrap_or_default()));
    if let Some(left) = number("seconds_left") {
        text.push_str(&format!(", {left:.0} s left"));
    }
    if let Some(differing) = whole("differing") {
        text.push_str(&format!(", {differing} rows differ"));
    }
    if let Some(reason) = rebuild.get("reason").and_then(Value::as_str) {
        text.push_str(&format!(": {reason}"));
    }
    text
}

/// How often a rebuild is looked at.
const LOOK: Duration = Duration::from_millis(300);

impl Rebuild {
    async fn run(&self) -> Result<ExitCode, Failure> {
        let server = &self.output.server;
        let accept = self.accept_differences;
        let path = format!(
            "/v1.0/projections/{}/rebuild?wait=false&accept_differences={accept}",
            segment(&self.name)
        );
        let begun = server.post(&path).await?;
        if self.no_wait {
            line(begun)?;
            return Ok(ExitCode::SUCCESS);
        }
        loop {
            let found = server.get("/v1.0/projections", &[]).await?;
            let models = found.get("projections").and_then(Value::as_array);
            let model = models.into_iter().flatten().find(|model| model.get("name") == begun.get("name"));
            let rebuild = model.and_then(|model| model.get("rebuild")).cloned().unwrap_or_default();
            if rebuild.get("version") != begun.get("version") {
                return Err(Failure::Refused("another rebuild took its place".to_owned()));
            }
            let phase = rebuild.get("phase").and_then(Value::as_str).unwrap_or_default();
            if ["filling", "indexing", "comparing"].contains(&phase) {
                progress(format_args!("{}: {}", self.name, told(&rebuild)))?;
                tokio::time::sleep(LOOK).await;
                continue;
            }
            return self.ended(phase, &rebuild);
        }
    }

    fn ended(&self, phase: &str, rebuild: &Value) -> Result<ExitCode, Failure> {
        if self.output.json {
            line(rebuild)?;
        } else {
            line(format_args!("{}: {}", self.name, told(rebuild)))?;
            differences(rebuild)?;
        }
        Ok(if phase == "done" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
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
    differences(model)
}

/// Tells the rows that differ.
fn differences(found: &Value) -> Result<(), std::io::Error> {
    for row in found.get("differences").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
        let columns = row.get("columns").and_then(Value::as_array).into_iter().flatten();
        let columns: Vec<&str> = columns.filter_map(Value::as_str).collect();
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
