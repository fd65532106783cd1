//! `dcm journal conformance`: whether a live store does what the journal needs, and how fast. Everything happens in
//! journals of its own beside the product's, which are removed again.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dcm_journal::conformance::{CASES, Case, Effort, Outcome, Rates, measure};
use dcm_journal::store::Scratch;

use super::{Failure, line};

/// Appends whose way to a follower is timed.
const FOLLOWED: usize = 500;

/// Runs every case and measures, with so many `seconds` for each of the two appending measurements.
///
/// # Errors
/// [`Failure`] if the store cannot be used at all.
pub async fn run(url: &str, data_dir: &Path, seconds: u64) -> Result<ExitCode, Failure> {
    let (mut passed, mut failed, mut not_promised) = (0, 0, 0);
    for case in CASES {
        let outcome = outcome(case, url, data_dir).await?;
        let said = match &outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::NotPromised => "not promised by this store".to_owned(),
            Outcome::Failed(reason) => format!("FAILED: {reason}"),
        };
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::NotPromised => not_promised += 1,
            Outcome::Failed(_) => failed += 1,
        }
        row(case.name, said)?;
    }
    line(format_args!("{passed} passed, {failed} failed, {not_promised} not promised"))?;
    let scratch = create(url, data_dir).await?;
    let effort = Effort { appending: Duration::from_secs(seconds), followed: FOLLOWED };
    let rates = measure(&scratch, effort).await;
    remove(scratch).await?;
    show(&rates.map_err(|error| Failure::Refused(error.to_string()))?)?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn outcome(case: &Case, url: &str, data_dir: &Path) -> Result<Outcome, Failure> {
    let scratch = Arc::new(create(url, data_dir).await?);
    let outcome = case.run(Arc::clone(&scratch) as _).await;
    // A case that was given up may still hold it; what it wrote then stays, under its own name.
    if let Some(scratch) = Arc::into_inner(scratch) {
        remove(scratch).await?;
    }
    Ok(outcome)
}

async fn create(url: &str, data_dir: &Path) -> Result<Scratch, Failure> {
    let scratch = Scratch::create(url, data_dir).await;
    scratch.map_err(|error| Failure::start("journal", error))
}

async fn remove(scratch: Scratch) -> Result<(), Failure> {
    scratch.remove().await.map_err(|error| Failure::start("cleaning up", error))
}

fn show(rates: &Rates) -> Result<(), Failure> {
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    row("appends, one after another", format_args!("{:.0} /s", rates.sequential))?;
    row("appends, 64 under way at once", format_args!("{:.0} /s", rates.at_once))?;
    row("events read in the order of all", format_args!("{:.0} /s", rates.read))?;
    let (median, p99) = (millis(rates.lag.median), millis(rates.lag.p99));
    row("append until a follower has it", format_args!("median {median:.2} ms, p99 {p99:.2} ms"))
}

fn row(what: &str, said: impl std::fmt::Display) -> Result<(), Failure> {
    Ok(line(format_args!("{:<46}{said}", what.replace('_', " ")))?)
}
