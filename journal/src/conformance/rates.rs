//! How fast a journal is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::Place;
use super::events::{following, new_stream};
use crate::store::{AppendError, Journal, ReadError};

/// Appenders at once in the second measurement.
const AT_ONCE: usize = 64;
/// Events of one page of the reading measurement: what a projector reads at once.
const PAGE: usize = 500;

/// How long the measurements may go on.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Time for each of the two appending measurements.
    pub appending: Duration,
    /// Appends whose way to a follower is timed.
    pub followed: usize,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Appends of one event a second, each waiting for the one before.
    pub sequential: f64,
    /// Appends of one event a second, 64 under way at once on 64 streams.
    pub at_once: f64,
    /// Events read a second, in the order of all, in pages as projectors read.
    pub read: f64,
    /// From the call of an append to its event being read by another adapter that reads without pause.
    pub lag: Lag,
}

/// How long something took.
#[derive(Clone, Copy, Debug)]
pub struct Lag {
    /// Half of them were faster.
    pub median: Duration,
    /// One of a hundred was slower.
    pub p99: Duration,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum NotMeasured {
    /// The journal could not be opened.
    #[error(transparent)]
    Open(#[from] crate::store::OpenError),
    /// An append failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Measures the journal in `place`.
///
/// # Errors
/// [`NotMeasured`] if it does not answer.
pub async fn measure(place: &dyn Place, effort: Effort) -> Result<Rates, NotMeasured> {
    let journal = place.open().await?;
    let sequential = appended(&journal, effort.appending).await?;
    let started = Instant::now();
    let appenders = (0..AT_ONCE).map(|_| appended(&journal, effort.appending));
    let mut at_once = 0.0;
    for done in join_all(appenders).await {
        at_once += done?;
    }
    let at_once = at_once / started.elapsed().as_secs_f64();
    let sequential = sequential / effort.appending.as_secs_f64();
    Ok(Rates {
        sequential,
        at_once,
        read: read(&*journal).await?,
        lag: follow(place, effort.followed).await?,
    })
}

/// Appends one event after the other for a time; returns how many.
async fn appended(journal: &Arc<dyn Journal>, time: Duration) -> Result<f64, AppendError> {
    let (stream, mut last, mut count) = (new_stream(), None, 0.0);
    let end = Instant::now() + time;
    while Instant::now() < end {
        let (expected, events) = following(&stream, last.as_ref(), 1);
        last = events.last().cloned();
        journal.append(&stream, expected, events).await?;
        count += 1.0;
    }
    Ok(count)
}

async fn read(journal: &dyn Journal) -> Result<f64, ReadError> {
    let started = Instant::now();
    let (mut after, mut count) = (0, 0.0);
    loop {
        let page = journal.read_all(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.position.order;
        count += page.iter().map(|_| 1.0).sum::<f64>();
    }
    Ok(count / started.elapsed().as_secs_f64())
}

async fn follow(place: &dyn Place, count: usize) -> Result<Lag, NotMeasured> {
    let (writer, reader) = (place.open().await?, place.open().await?);
    let mut after = reader.head().await?;
    let (stream, mut last, mut times) = (new_stream(), None, Vec::with_capacity(count));
    for _ in 0..count.max(1) {
        let (expected, events) = following(&stream, last.as_ref(), 1);
        last = events.last().cloned();
        let started = Instant::now();
        let seen = async {
            loop {
                if let Some(event) = reader.read_all(after, 1).await?.first() {
                    return Ok::<_, ReadError>((event.position.order, started.elapsed()));
                }
            }
        };
        let (appended, seen) = tokio::join!(writer.append(&stream, expected, events), seen);
        appended?;
        let (order, time) = seen?;
        after = order;
        times.push(time);
    }
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1)).copied();
    Ok(Lag { median: at(50).unwrap_or_default(), p99: at(99).unwrap_or_default() })
}
