//! `dcm journal`: the journal as a whole. Opens the store itself, so an embedded one must not be served meanwhile.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use dcm_journal::store::{self, Journal};
use dcm_journal::transfer::{self, Exported};
use tokio::fs::File;
use tokio::io::{AsyncWrite, BufReader, BufWriter};

use super::whole_file::WholeFile;
use super::{Failure, conformance, line};
use crate::config::{Config, Flags, environment, load};
use crate::serve::lock;
use crate::signals::Signals;

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Read every event and check that none was touched or lost; exits with 1 if one was.
    Verify(Place),
    /// Write the events to a file, one JSON line each; `-` is standard output.
    Export {
        /// The file.
        #[arg(value_name = "FILE")]
        to: PathBuf,
        /// Only what stands behind the event with this order, such as the last one of the export before.
        #[arg(long, value_name = "ORDER", default_value_t = 0)]
        after: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Fill an empty journal with the events of a file, or go on with that; or bring in the next file of a chain, written
    /// with `export --after`. `-` is standard input.
    Import {
        /// The file.
        #[arg(value_name = "FILE")]
        from: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Fill another, empty journal with this one's events, or go on with that.
    Copy {
        /// The journal to fill: embedded:, postgres://… or esdb://….
        #[arg(long, value_name = "URL")]
        to: String,
        /// Directory of the journal to fill, if it is embedded.
        #[arg(long, value_name = "DIR")]
        to_data_dir: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Check and measure a live store beside its journal, of which nothing is read or changed; exits with 1 if a case
    /// fails.
    Conformance {
        /// How long each of the two appending measurements takes, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the journal is.
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
}

/// A journal, and the lock on its directory if it has one.
struct Opened {
    journal: Arc<dyn Journal>,
    _lock: Option<std::fs::File>,
}

impl Place {
    fn config(&self) -> Result<Config, Failure> {
        let flags = Flags {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            journal: self.journal.clone(),
            ..Flags::default()
        };
        Ok(load(&flags, environment())?)
    }

    async fn open(&self) -> Result<Opened, Failure> {
        let config = self.config()?;
        open(&config.journal, &config.data_dir).await
    }
}

async fn open(url: &str, data_dir: &Path) -> Result<Opened, Failure> {
    let lock = if url.starts_with("embedded:") { Some(lock::take(data_dir)?) } else { None };
    let journal = store::open(url, data_dir).await;
    let journal = journal.map_err(|error| Failure::start("journal", error))?;
    Ok(Opened { journal, _lock: lock })
}

/// Carries it out.
///
/// # Errors
/// [`Failure`] if a store or a file cannot be used.
pub async fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify(place) => verify(place).await,
        Command::Export { to, after, place } => export(place, to, *after).await,
        Command::Import { from, place } => import(place, from).await,
        Command::Copy { to, to_data_dir, place } => copy(place, to, to_data_dir.as_deref()).await,
        Command::Conformance { seconds, place } => {
            let config = place.config()?;
            conformance::run(&config.journal, &config.data_dir, *seconds).await
        }
    }
}

async fn verify(place: &Place) -> Result<ExitCode, Failure> {
    let opened = place.open().await?;
    let found = transfer::verify(&*opened.journal, |_| {}).await;
    let found = found.map_err(|error| Failure::Refused(error.to_string()))?;
    line(format_args!("{} events in {} streams, {} broken", found.events, found.streams, found.broken))?;
    for broken in &found.first_broken {
        line(format_args!(
            "event {}: {} revision {}: {}",
            broken.order, broken.stream, broken.revision, broken.reason
        ))?;
    }
    if let Some(missing) = found.missing {
        line(missing)?;
    }
    Ok(if found.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn export(place: &Place, to: &Path, after: u64) -> Result<ExitCode, Failure> {
    let opened = place.open().await?;
    let journal = &*opened.journal;
    if to == Path::new("-") {
        write(journal, after, tokio::io::stdout()).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let named = |error| Failure::start(to.display().to_string(), error);
    let done = if WholeFile::can_be(to) {
        // Ended at once by a signal, it would leave what it has written so far beside the backup, for ever.
        let mut signals = Signals::listen()?;
        let file = WholeFile::beside(to).map_err(named)?;
        let done = tokio::select! {
            done = write(journal, after, file.writer().map_err(named)?) => done?,
            _ = signals.received() => return Err(Failure::Refused("asked to stop: nothing is exported".to_owned())),
        };
        file.take_its_place().map_err(named)?;
        done
    } else {
        write(journal, after, File::create(to).await.map_err(named)?).await?
    };
    line(format_args!("{} events written; the next export goes on with --after {}", done.events, done.last))?;
    Ok(ExitCode::SUCCESS)
}

async fn write(
    journal: &dyn Journal,
    after: u64,
    out: impl AsyncWrite + Unpin + Send,
) -> Result<Exported, Failure> {
    let done = transfer::export(journal, after, &mut BufWriter::new(out), |_| {}).await;
    done.map_err(|error| Failure::Refused(error.to_string()))
}

async fn import(place: &Place, from: &Path) -> Result<ExitCode, Failure> {
    let opened = place.open().await?;
    let journal = &*opened.journal;
    let done = if from == Path::new("-") {
        transfer::import(journal, &mut BufReader::new(tokio::io::stdin()), |_| {}).await
    } else {
        let file =
            File::open(from).await.map_err(|error| Failure::start(from.display().to_string(), error))?;
        transfer::import(journal, &mut BufReader::new(file), |_| {}).await
    };
    let (source, done) = done.map_err(|error| Failure::Refused(error.to_string()))?;
    line(format_args!("{} events of journal {source} brought in, {} were there", done.copied, done.present))?;
    Ok(ExitCode::SUCCESS)
}

async fn copy(place: &Place, to: &str, to_data_dir: Option<&Path>) -> Result<ExitCode, Failure> {
    let from = place.open().await?;
    let to = open(to, to_data_dir.unwrap_or(Path::new(".dcm"))).await?;
    let done = transfer::copy(&*from.journal, &*to.journal, |_| {}).await;
    let done = done.map_err(|error| Failure::Refused(error.to_string()))?;
    line(format_args!("{} events copied, {} were there", done.copied, done.present))?;
    Ok(ExitCode::SUCCESS)
}
