//! How SQL takes read models further: a batch's rows and the checkpoints in one statement where that is possible, else in
//! one transaction.

use async_trait::async_trait;
use dcm_schemas::JournalId;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, Connection as _};
use tokio::time::Instant;

use crate::batch::Event;
use crate::checkpoint::{self, Advance};
use crate::failure::{self, Failure};
use crate::memory::Memories;
use crate::place::{self, Place};
use crate::port::{NotApplied, ReadModelStore};
use crate::projection::ProjectError;
use crate::store::ReadModels;
use crate::writing::Writing;

/// What is kept from one batch to the next.
#[derive(Default)]
pub struct Kept {
    memories: Memories,
    /// The connection that the last batch was committed on: a pool would ask it twice a batch whether it lives. Not of an
    /// embedded file, whose one writer is everybody's.
    connection: Option<PoolConnection<Any>>,
}

#[async_trait]
impl ReadModelStore for ReadModels {
    type Kept = Kept;

    fn journal(&self) -> JournalId {
        self.journal
    }

    async fn places(&self) -> Result<Vec<Place>, sqlx::Error> {
        place::active(self).await
    }

    async fn apply(
        &self,
        places: &[&Place],
        batch: &[Event],
        epoch: i64,
        kept: Kept,
    ) -> Result<Kept, NotApplied> {
        let Kept { mut memories, connection } = kept;
        let mut writer = match connection {
            Some(connection) => connection,
            None => self.writes.acquire().await?,
        };
        if self.fits_one_statement(places, batch) {
            match self.apply_at_once(places, batch, epoch, &mut memories, &mut writer).await {
                Ok(()) => {}
                // In a transaction it shows whom it is due to, and no statement is as long.
                Err(error) if !error.is_transient() || took_too_long(&error) => {
                    memories = Memories::new();
                    self.apply_in_transaction(places, batch, epoch, &mut memories, &mut writer).await?;
                }
                Err(error) => return Err(error.into()),
            }
        } else {
            self.apply_in_transaction(places, batch, epoch, &mut memories, &mut writer).await?;
        }
        Ok(Kept { memories, connection: (!self.embedded).then_some(writer) })
    }

    async fn stop(&self, place: &Place, epoch: i64, failure: &Failure) -> Result<(), sqlx::Error> {
        let mut connection = self.writes.acquire().await?;
        failure::set(&mut connection, place.key(), (place.position, epoch), failure).await
    }

    fn is_news(&self, place: &Place, failure: &Failure) -> bool {
        self.stopped.is_news(place.key(), &format_args!("{}: {}", failure.position, failure.reason))
    }

    async fn fence(&self, epoch: i64) -> Result<bool, sqlx::Error> {
        checkpoint::fence(&self.writes, epoch).await
    }

    fn renewed(&self) {
        self.edition.renew();
    }

    fn alone_until(&self, moment: Instant) {
        self.edition.alone_until(moment.into_std());
    }

    fn not_alone(&self) {
        self.edition.not_alone();
    }

    fn reached(&self, order: u64) {
        self.progress().reached(order);
    }
}

impl ReadModels {
    /// Whether all that `batch` changes can be written in one statement.
    fn fits_one_statement(&self, places: &[&Place], batch: &[Event]) -> bool {
        let fits = |place: &&Place| {
            !place.has_failed
                && batch.iter().all(|event| matches!(place.projection.needs_transaction(event), Ok(false)))
        };
        !self.embedded && places.iter().all(fits)
    }

    async fn apply_at_once(
        &self,
        places: &[&Place],
        batch: &[Event],
        epoch: i64,
        memories: &mut Memories,
        writer: &mut AnyConnection,
    ) -> Result<(), ProjectError> {
        let mut writing = Writing::together(writer);
        for place in places {
            let memory = memories.entry(place.key()).or_default();
            place.projection.go_on(&mut writing, place.version, batch, memory).await?;
        }
        let Some((moved, step)) = moved(places, batch, epoch) else { return Ok(()) };
        let commit = self.edition.commits();
        let advanced = writing.advance(&moved, step).await?;
        commit.end();
        if advanced { Ok(()) } else { Err(ProjectError::Fenced) }
    }

    async fn apply_in_transaction(
        &self,
        places: &[&Place],
        batch: &[Event],
        epoch: i64,
        memories: &mut Memories,
        writer: &mut AnyConnection,
    ) -> Result<(), NotApplied> {
        let mut tx = writer.begin().await?;
        for place in places {
            let memory = memories.entry(place.key()).or_default();
            let mut writing = Writing::now(&mut tx);
            let applied = place.projection.go_on(&mut writing, place.version, batch, memory).await;
            applied.map_err(|error| NotApplied { due_to: Some(place.key()), error })?;
            if place.has_failed {
                failure::clear(&mut tx, place.projection.name(), place.version).await?;
            }
        }
        if let Some((moved, step)) = moved(places, batch, epoch)
            && !checkpoint::advance(&mut tx, &moved, step).await?
        {
            return Err(ProjectError::Fenced.into());
        }
        Ok(self.commit(tx).await?)
    }
}

/// Whether the database ended a statement for the time it took.
fn took_too_long(error: &ProjectError) -> bool {
    let ProjectError::Database(error) = error else { return false };
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "57014")
}

/// Which checkpoints `batch` moves under `epoch`, and how far.
fn moved(places: &[&Place], batch: &[Event], epoch: i64) -> Option<(Vec<(&'static str, i64)>, Advance)> {
    let (first, last) = (places.first()?, batch.last()?);
    let step = Advance { from: first.position, to: last.order(), epoch, event_time: last.at() };
    Some((places.iter().map(|place| place.key()).collect(), step))
}
