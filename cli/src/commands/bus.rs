//! `dcm bus`: whether the bus says what the journal says, and what to do when it does not. Opens the journal itself, so an
//! embedded one must not be served meanwhile.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dcm_journal::bus::Upkeep;
use dcm_journal::store::{self, Journal};
use dcm_schemas::Position;
use dcm_workers::dead_letters;
use dcm_workers::relay::{Differences, Findings, Repair, Window, verify};
use serde::Serialize;

use super::{Failure, line};
use crate::config::{Config, Flags, environment, load};
use crate::serve::{bus, lock};

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Compare ids, order and previous positions of the journal's events with the messages on the bus; exits with 1 if
    /// they differ. Events older than the first message are no difference if a limit of the stream explains that.
    Verify {
        /// The first event to look for, such as `ce-position` of a message or the `position` of an event.
        #[arg(long, value_name = "POSITION", conflicts_with = "last")]
        from: Option<Position>,
        /// The last event to look for.
        #[arg(long, value_name = "POSITION", conflicts_with = "last")]
        to: Option<Position>,
        /// Only the last N events.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        last: Option<u64>,
        /// How long to wait for what is not on the bus yet, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        wait: u64,
        #[command(flatten)]
        output: Output,
    },
    /// List the dead letters: messages that consumers gave up, with the cause.
    Dead(Output),
    /// Publish the message of a dead letter again, for its consumer to try once more.
    Requeue {
        /// The letter's number.
        number: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Forget dead letters.
    Discard {
        /// Their numbers.
        #[arg(required = true)]
        numbers: Vec<u64>,
        #[command(flatten)]
        place: Place,
    },
    /// Publish again what is missing on the bus, marked as replayed, and remove what does not belong there. Everything
    /// from the first difference on is published again: the whole stream, if events are lost at its front (`verify` says
    /// so). A relay may run meanwhile. Refused when the bus is ahead of the journal or holds another journal's events.
    Repair {
        /// Begin with nothing, whatever the bus holds: also if it is ahead of the journal, or of another one.
        #[arg(long)]
        rebuild: bool,
        #[command(flatten)]
        output: Output,
    },
}

/// How to show it, and where journal and bus are.
#[derive(clap::Args)]
pub struct Output {
    /// One JSON document instead of lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Where journal and bus are.
#[derive(clap::Args)]
pub struct Place {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "DCM_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of embedded stores [default: .dcm].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Journal: embedded:, postgres://… or esdb://… [default: embedded:].
    #[arg(long, value_name = "URL")]
    journal: Option<String>,
    /// Bus: nats://….
    #[arg(long, value_name = "URL")]
    bus: Option<String>,
    /// Any other key, as in the file: `--set jetstream.replicas=3`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Place {
    fn config(&self) -> Result<Config, Failure> {
        let flags = Flags {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            journal: self.journal.clone(),
            bus: self.bus.clone(),
            set: self.set.clone(),
            ..Flags::default()
        };
        let config = load(&flags, environment())?;
        match config.bus.starts_with("local:") {
            true => Err(Failure::Refused(
                "the local bus lives and ends with its process: say where the bus is, --bus nats://…"
                    .to_owned(),
            )),
            false => Ok(config),
        }
    }
}

/// Journal and bus, and the lock on the journal's directory if it has one.
struct Opened {
    config: Config,
    journal: Arc<dyn Journal>,
    bus: Arc<dyn Upkeep>,
    _lock: Option<std::fs::File>,
}

async fn open(place: &Place) -> Result<Opened, Failure> {
    let config = place.config()?;
    let embedded = config.journal.starts_with("embedded:");
    let lock = if embedded { Some(lock::take(&config.data_dir)?) } else { None };
    let journal = store::open(&config.journal, &config.data_dir).await;
    let journal = journal.map_err(|error| Failure::start("journal", error))?;
    let bus = bus::connect(&config).await?;
    Ok(Opened { config, journal, bus, _lock: lock })
}

/// Carries it out.
///
/// # Errors
/// [`Failure`] if a store cannot be used, or the bus must not be repaired.
pub async fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify { from, to, last, wait, output } => {
            let opened = open(&output.place).await?;
            let window = match last {
                Some(last) => Window::Last(*last),
                None => Window::Between(order(&opened, *from)?, order(&opened, *to)?),
            };
            let found = verify(&*opened.journal, &*opened.bus, window, Duration::from_secs(*wait)).await;
            let found = found.map_err(|error| Failure::Refused(error.to_string()))?;
            match output.json {
                true => line(json(&found)?)?,
                false => show(&found)?,
            }
            Ok(code(&found))
        }
        Command::Repair { rebuild, output } => repair(*rebuild, output).await,
        Command::Dead(output) => dead(output).await,
        Command::Requeue { number, place } => {
            let bus = bus::connect(&place.config()?).await?;
            let done = dead_letters::requeue(&*bus, *number).await;
            done.map_err(|error| Failure::Refused(error.to_string()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Discard { numbers, place } => {
            let bus = bus::connect(&place.config()?).await?;
            for number in numbers {
                let done = dead_letters::discard(&*bus, *number).await;
                done.map_err(|error| Failure::Refused(error.to_string()))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The order of a position of this journal.
fn order(opened: &Opened, position: Option<Position>) -> Result<Option<u64>, Failure> {
    let here = opened.journal.id();
    match position {
        Some(position) if position.journal != here => {
            Err(Failure::Refused(format!("{position} is of another journal: this is {here}")))
        }
        position => Ok(position.map(|position| position.order)),
    }
}

async fn repair(rebuild: bool, output: &Output) -> Result<ExitCode, Failure> {
    let opened = open(&output.place).await?;
    let streams = opened.config.jetstream.streams();
    let done =
        Repair::new(Arc::clone(&opened.journal), Arc::clone(&opened.bus), streams, rebuild).run().await;
    let done = done.map_err(|error| Failure::Refused(error.to_string()))?;
    if output.json {
        line(json(&done)?)?;
        return Ok(code(&done.findings));
    }
    if done.refilled {
        line("the stream was filled anew from the first event")?;
    }
    if let Some(from) = done.republished_from {
        line(format_args!("published again from {from}"))?;
    }
    if let Some(to) = done.replayed_to {
        line(format_args!("marked as replayed up to {to}"))?;
    }
    if let Some((first, last)) = done.removed {
        line(format_args!("removed the messages of sequences {first} to {last}"))?;
    }
    show(&done.findings)?;
    Ok(code(&done.findings))
}

async fn dead(output: &Output) -> Result<ExitCode, Failure> {
    let bus = bus::connect(&output.place.config()?).await?;
    let letters = dead_letters::list(&*bus).await.map_err(|error| Failure::start("bus", error))?;
    if output.json {
        line(json(&serde_json::json!({"dead": letters}))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for letter in letters {
        let reason = letter.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        line(format_args!(
            "{} {} {} {}: {} at delivery {}{reason}",
            letter.number, letter.time, letter.stream, letter.consumer, letter.cause, letter.deliveries
        ))?;
        let subject = letter.subject.as_deref().unwrap_or("its message is gone");
        let id = letter.id.map(|id| format!(" {id}")).unwrap_or_default();
        let position = letter.position.map(|position| format!(" event {position}")).unwrap_or_default();
        line(format_args!("  {subject}{id}{position}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn code(found: &Findings) -> ExitCode {
    if found.agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn json(answer: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(answer).map_err(|error| Failure::Refused(error.to_string()))
}

fn show(found: &Findings) -> Result<(), Failure> {
    let said = if found.agrees { "agree" } else { "differ" };
    line(format_args!("journal and bus {said}: {} events, {} messages", found.events, found.messages))?;
    if let Some((from, to)) = found.from.zip(found.to) {
        line(format_args!("from {from} to {to}"))?;
    }
    if found.dropped > 0 {
        line(format_args!("{} events are older than what the bus keeps", found.dropped))?;
    }
    if found.lost_at_front > 0 {
        line(format_args!(
            "{} events are lost at the front of the stream: a repair fills it anew from the first event, and its \
             consumers get everything once more, marked as replayed",
            found.lost_at_front
        ))?;
    }
    let kinds = [
        ("missing", &found.missing),
        ("doubled", &found.doubled),
        ("out of order", &found.out_of_order),
        ("with a wrong previous position", &found.wrong_previous),
        ("foreign", &found.foreign),
    ];
    kinds.into_iter().filter(|(_, found)| found.count > 0).try_for_each(|(kind, found)| list(kind, found))
}

fn list(kind: &str, found: &Differences) -> Result<(), Failure> {
    line(format_args!("{} {kind}:", found.count))?;
    for difference in &found.first {
        let position = difference.position.map(|position| format!(" event {position}")).unwrap_or_default();
        let sequence =
            difference.sequence.map(|sequence| format!(" sequence {sequence}")).unwrap_or_default();
        line(format_args!(" {position}{sequence}: {}", difference.what))?;
    }
    let rest = found.count - found.first.len() as u64;
    if rest > 0 {
        line(format_args!("  and {rest} more"))?;
    }
    Ok(())
}
