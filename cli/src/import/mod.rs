//! Taking over a running installation: its database and the files beside it, into an empty journal.
//!
//! Everything is derived from one snapshot of the source, uuids and vault entries included, so that a run that was
//! interrupted goes on where it stopped, and a finished one finds nothing to do.

mod ids;
mod overrides;
mod report;
mod row;
mod source;
mod tables;
mod translate;
mod write;

use std::path::Path;
use std::time::Instant;

use dcm_domain::value::Timestamp;

pub use overrides::Overrides;
pub use report::{Outcome, Report};
pub use source::SourceError;
pub use write::{Target, WriteError, refuse_unfinished};

/// What is said of a source that went on after its import.
const NOT_TAKEN_OVER: &str = "the source, or the files beside it (--overrides-dir counts), are not what they were when \
                              they were imported: what changed since then was not taken over";

/// Why an import did not end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The journal or the vault refused.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The directory with the files cannot be read.
    #[error("--overrides-dir {path}: {cause}")]
    Overrides {
        /// The directory.
        path: String,
        /// Why not.
        cause: std::io::Error,
    },
}

/// What an import reads.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The database.
    pub url: &'a str,
    /// The directory with the files beside it.
    pub overrides: Option<&'a Path>,
}

/// Reads `source` and says what an import would do.
///
/// # Errors
/// [`ImportError`] if it cannot be read.
pub async fn dry_run(source: Source<'_>) -> Result<Report, ImportError> {
    let begun = Instant::now();
    let (snapshot, overrides) = read(source).await?;
    let ids = ids::Ids::of(&snapshot.source);
    let nothing = |_: uuid::Uuid, _: &[u8]| String::new();
    let (_, report) =
        translate::translate(&snapshot, &ids, overrides.as_ref(), &nothing, Timestamp::from_micros(0));
    Ok(Report { outcome: Outcome::DryRun, seconds: begun.elapsed().as_secs_f64(), ..report })
}

/// Takes `source` over into `target`. With errors in the report, nothing was written.
///
/// # Errors
/// [`ImportError`]; what was written by then is found again by the next run.
pub async fn run(source: Source<'_>, target: &Target) -> Result<Report, ImportError> {
    let begun = Instant::now();
    let (snapshot, overrides) = read(source).await?;
    let ids = ids::Ids::of(&snapshot.source);
    let at = target.find(&ids).await?;
    let digest = target.digest();
    let taken_at = at.begun_at.unwrap_or_else(|| chrono::Utc::now().into());
    let (translation, mut report) =
        translate::translate(&snapshot, &ids, overrides.as_ref(), &digest, taken_at);
    let changed = at.digest.is_some_and(|digest| digest != translation.digest);
    if at.finished {
        report.warnings.extend(changed.then(|| NOT_TAKEN_OVER.to_owned()));
        return Ok(Report { outcome: Outcome::AlreadyImported, ..report });
    }
    if changed {
        return Err(WriteError::Changed.into());
    }
    if !report.errors.is_empty() {
        return Ok(Report { outcome: Outcome::Refused, ..report });
    }
    let subclouds = translation.subclouds.len();
    target.write(&ids, &snapshot, translation, &report).await?;
    report.seconds = begun.elapsed().as_secs_f64();
    report.subclouds_per_second = subclouds as f64 / report.seconds.max(f64::EPSILON);
    Ok(Report { outcome: Outcome::Imported, ..report })
}

async fn read(source: Source<'_>) -> Result<(source::Snapshot, Option<Overrides>), ImportError> {
    let open = |path: &Path| {
        Overrides::open(path)
            .map_err(|cause| ImportError::Overrides { path: path.display().to_string(), cause })
    };
    let overrides = source.overrides.map(open).transpose()?;
    Ok((source::Snapshot::read(source.url).await?, overrides))
}
