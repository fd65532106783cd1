//! Filling a version that is not read: the next events are read and decoded while those before them are written.

use std::sync::Arc;

use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::Subcloud;
use dcm_journal::store::ReadError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::{Rebuild, RebuildError};
use crate::batch::{self, Event};
use crate::checkpoint::{self, Advance};
use crate::projection::{ProjectError, Source};
use crate::writing::Writing;

/// Events of one transaction: many, for a row that several of them touch is written once.
const BATCH: usize = 5000;
/// The same where there is one writer, for which live work waits meanwhile.
const EMBEDDED_BATCH: usize = 1000;
/// Epoch of a version that is not read: no projector may move it, and who was about to is fenced off.
pub(super) const NOT_READ: i64 = i64::MAX;

impl Rebuild {
    /// Folds what the version lacks up to `until`, which may be an order that no event has.
    pub(super) async fn fill(&mut self, until: u64, cancel: &CancellationToken) -> Result<u64, RebuildError> {
        let mut connection = self.models.writes.acquire().await?;
        let place = checkpoint::position(&mut connection, self.projection.name(), self.version).await?;
        drop(connection);
        let (_, mut position) = place.ok_or(ProjectError::Fenced)?;
        if position >= until {
            return Ok(position);
        }
        let expected = self.claim.events() + (until - position);
        self.claim.expect(self.journal.traits().orders_are_dense.then_some(expected));
        let mut pace = Pace::new(self.options.events_per_second);
        let mut batches = self.read_ahead(position, until);
        while let Some(batch) = batches.recv().await {
            let batch = batch.map_err(ProjectError::from)?;
            position = self.write(position, &batch).await?;
            let (models, journal, more) = (&self.models, &self.journal, batch.len() as u64);
            pace.rest(models, journal, &mut self.claim, cancel, more).await?;
        }
        Ok(position)
    }

    /// The events after `position` up to `until`, in portions.
    fn read_ahead(&self, mut position: u64, until: u64) -> mpsc::Receiver<Result<Vec<Event>, ReadError>> {
        let (sender, receiver) = mpsc::channel(1);
        let journal = Arc::clone(&self.journal);
        let most = if self.models.embedded { EMBEDDED_BATCH } else { BATCH };
        let is_of_subclouds = self.projection.source() == Source::Each(Subcloud::KIND);
        tokio::spawn(async move {
            while position < until {
                let read = tokio::select! {
                    () = sender.closed() => return,
                    read = journal.read_all(position, most) => read.map(batch::events),
                };
                let batch = read.map(|mut events| {
                    events.retain(|event| event.order() <= until);
                    if is_of_subclouds {
                        // Whoever folds it finds it decoded, or finds the error again.
                        let ours = events.iter().filter(|event| event.kind() == Subcloud::KIND);
                        ours.for_each(|event| drop(event.subcloud()));
                    }
                    events
                });
                let last = batch.as_ref().ok().and_then(|events| events.last()).map(Event::order);
                if batch.as_ref().is_ok_and(Vec::is_empty) || sender.send(batch).await.is_err() {
                    return;
                }
                let Some(last) = last else { return };
                position = last;
            }
        });
        receiver
    }

    /// Writes one portion, together with how far it is then.
    async fn write(&mut self, position: u64, batch: &[Event]) -> Result<u64, RebuildError> {
        let Some(last) = batch.last() else { return Ok(position) };
        let mut tx = self.models.writes.begin().await?;
        // Dropped with every batch that is not committed.
        let mut memory = std::mem::take(&mut self.memory);
        if let Err(error) =
            self.projection.go_on(&mut Writing::now(&mut tx), self.version, batch, &mut memory).await
        {
            tx.rollback().await?;
            return Err(self.name_the_event(batch, error).await);
        }
        let step = Advance { from: position, to: last.order(), epoch: NOT_READ, event_time: last.at() };
        let moved = [(self.projection.name(), self.version)];
        if !checkpoint::advance(&mut tx, &moved, step).await? {
            return Err(ProjectError::Fenced.into());
        }
        self.claim.folded(&mut tx, &self.models, batch.len() as u64).await?;
        tx.commit().await?;
        self.memory = memory;
        Ok(last.order())
    }

    /// Which event of `batch` it was: they are tried one by one, and nothing of that is kept.
    async fn name_the_event(&self, batch: &[Event], error: ProjectError) -> RebuildError {
        if error.is_transient() {
            return error.into();
        }
        let Ok(mut tx) = self.models.writes.begin().await else { return error.into() };
        for event in batch {
            let alone = self.projection.apply(&mut tx, self.version, std::slice::from_ref(event)).await;
            if let Err(cause) = alone {
                let event_type = event.envelope().r#type.clone();
                return RebuildError::Event { position: event.order(), event_type, cause };
            }
        }
        error.into()
    }
}
