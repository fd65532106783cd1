//! The projector: follows the journal and keeps every active read model up to date.
//!
//! It is rung up by appends in this process and by signals of others, and looks by itself now and then: whoever rings,
//! what it applies comes from the journal, in order, so that a dead or lossy bus costs time and nothing else.

use std::sync::Arc;
use std::time::Duration;

use dcm_journal::store::Journal;
use dcm_schemas::Recorded;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::checkpoint::{self, Advance};
use crate::projection::{ProjectError, Projection};
use crate::store::ReadModels;

/// How often the journal is looked at when nobody rings.
const LOOK: Duration = Duration::from_millis(50);
/// Events of one transaction.
const BATCH: usize = 500;
/// How long one step may take; its single statements are far quicker.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(250);

/// Follows one journal into one set of read models, under one epoch of the projector's lease.
pub struct Projector {
    models: Arc<ReadModels>,
    journal: Arc<dyn Journal>,
    epoch: i64,
    bell: Arc<Notify>,
}

impl Projector {
    /// A projector that writes under `epoch` and looks at the journal whenever `bell` is rung.
    pub fn new(models: Arc<ReadModels>, journal: Arc<dyn Journal>, epoch: i64, bell: Arc<Notify>) -> Self {
        Self { models, journal, epoch, bell }
    }

    /// Runs until `stop`, calling `progressed` with each order it has committed.
    ///
    /// # Errors
    /// A [`ProjectError`] that does not pass: the read models stay as they are, in front of the event.
    pub async fn run(
        &self,
        stop: &CancellationToken,
        progressed: impl Fn(u64) + Send + Sync,
    ) -> Result<(), ProjectError> {
        let mut appended = self.journal.appended();
        let mut failing = false;
        while !stop.is_cancelled() {
            // Register for the bell before looking, so that no ring is missed.
            let rung = self.bell.notified();
            appended.mark_unchanged();
            // A database that does not even refuse must not keep this task, nor the lease, for ever.
            let step = tokio::time::timeout(PATIENCE, self.step()).await;
            match step.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into())) {
                Ok(Some(order)) => {
                    if failing {
                        tracing::info!(order, "the projector works again");
                        failing = false;
                    }
                    self.models.progress().reached(order);
                    progressed(order);
                    continue;
                }
                Ok(None) => {}
                Err(error) if error.is_transient() => {
                    if !failing {
                        tracing::warn!(%error, "the projector cannot go on; it keeps trying");
                        failing = true;
                    }
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(PAUSE) => continue,
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = rung => {}
                changed = appended.changed() => if changed.is_err() { tokio::time::sleep(LOOK).await },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    /// Applies the next batch to every active read model; the order reached, or `None` if there was nothing to do.
    ///
    /// # Errors
    /// [`ProjectError`]; nothing was changed then.
    pub async fn step(&self) -> Result<Option<u64>, ProjectError> {
        let mut tx = self.models.writes.begin().await?;
        let mut places = Vec::new();
        for projection in ReadModels::projections() {
            let version = ReadModels::active_version(&mut tx, projection.name()).await?;
            let place = checkpoint::position(&mut tx, projection.name(), version).await?;
            let foreign = || ProjectError::ForeignJournal { name: projection.name() };
            let (journal, position) = place.ok_or_else(foreign)?;
            if journal != self.models.journal.to_string() {
                return Err(foreign());
            }
            places.push(Place { projection, version, position });
        }
        let after = places.iter().map(|place| place.position).min().unwrap_or(0);
        let batch = self.journal.read_all(after, BATCH).await?;
        let Some(last) = batch.last() else {
            self.check_head(&places).await?;
            return Ok(None);
        };
        for place in &places {
            self.apply(&mut tx, place, &batch).await?;
        }
        tx.commit().await?;
        let age = (chrono::Utc::now().timestamp_micros() - last.envelope.recorded_at.micros()).max(0);
        #[expect(clippy::cast_precision_loss, reason = "a lag in microseconds is far below 2^52")]
        metrics::gauge!("dcm_projection_lag_seconds").set(age as f64 / 1e6);
        metrics::counter!("dcm_projected_events_total").increment(batch.len() as u64);
        Ok(Some(last.position.order))
    }

    async fn apply(
        &self,
        connection: &mut sqlx::AnyConnection,
        place: &Place,
        batch: &[Recorded],
    ) -> Result<(), ProjectError> {
        let news = batch.partition_point(|event| event.position.order <= place.position);
        let Some((news, last)) = batch.get(news..).and_then(|news| Some((news, news.last()?))) else {
            return Ok(());
        };
        place.projection.apply(connection, place.version, news).await?;
        let step = Advance {
            from: place.position,
            to: last.position.order,
            epoch: self.epoch,
            event_time: last.envelope.recorded_at,
        };
        match checkpoint::advance(connection, place.projection.name(), place.version, step).await? {
            true => Ok(()),
            false => Err(ProjectError::Fenced),
        }
    }

    /// A checkpoint ahead of the journal belongs to a journal that was replaced.
    async fn check_head(&self, places: &[Place]) -> Result<(), ProjectError> {
        let head = self.journal.head().await?;
        match places.iter().find(|place| place.position > head) {
            Some(ahead) => Err(ProjectError::ForeignJournal { name: ahead.projection.name() }),
            None => Ok(()),
        }
    }
}

struct Place {
    projection: &'static dyn Projection,
    version: i64,
    position: u64,
}
