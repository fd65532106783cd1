//! The read models of the simulated world, as one process' projector reaches them: a batch becomes rows of its own first,
//! and what is read in one step, if nobody took the read models further meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dcm_projections::{
    Event, Failure, NotApplied, Place, ProjectError, Projection, ReadModelStore, Source, Table,
};
use dcm_schemas::JournalId;
use dcm_schemas::registry::Unreadable;
use sqlx::AnyConnection;
use tokio::time::Instant;

use super::actors;
use super::checks;
use super::truth::{COUNTS, Rows, SUBCLOUDS, Truth};
use super::world::{Broken, Fate, Node};

/// A process' way to the read models.
pub struct SimRows(pub Arc<Node>);

/// The rows of each read model as the last batch left them: what a projector remembers need not be read again.
#[derive(Default)]
pub struct Kept(BTreeMap<&'static str, Rows>);

/// A read model's name; its rows are folded by [`Rows::apply`].
struct Named(&'static str);

static MODELS: [Named; 2] = [Named(COUNTS), Named(SUBCLOUDS)];

#[async_trait]
impl Projection for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn tables(&self) -> Vec<Table> {
        Vec::new()
    }

    fn source(&self) -> Source {
        Source::Together
    }

    async fn apply(&self, _: &mut AnyConnection, _: i64, _: &[Event]) -> Result<(), ProjectError> {
        Err(away().into())
    }
}

fn away() -> sqlx::Error {
    sqlx::Error::PoolTimedOut
}

impl SimRows {
    async fn call<T>(
        &self,
        what: &'static str,
        step: impl FnOnce(&mut Truth) -> T + Send,
    ) -> Result<T, sqlx::Error> {
        let fate = self.0.turn(what, 0).await;
        if fate == Fate::Refused {
            self.0.answered(what, 0, fate).await;
            return Err(away());
        }
        let answer = step(&mut self.0.world.truth());
        match self.0.answered(what, 0, fate).await {
            true => Ok(answer),
            false => Err(away()),
        }
    }

    /// Reads the rows of `places` that `rows` lacks.
    async fn read(
        &self,
        places: &[&Place],
        rows: &mut BTreeMap<&'static str, Rows>,
    ) -> Result<(), sqlx::Error> {
        let mut unknown: Vec<&'static str> = places.iter().map(|place| place.projection.name()).collect();
        unknown.retain(|name| !rows.contains_key(name));
        if unknown.is_empty() {
            return Ok(());
        }
        let read = self.call("begin", |truth| {
            let read = unknown.into_iter().map(|name| (name, truth.rows(name).clone()));
            read.collect::<Vec<_>>()
        });
        rows.extend(read.await?);
        Ok(())
    }

    /// Folds `batch` into the rows of `places`, under `epoch`, as far as the program that runs can.
    fn fold(
        &self,
        places: &[&Place],
        batch: &[Event],
        epoch: i64,
        rows: &mut BTreeMap<&'static str, Rows>,
    ) -> Result<(), NotApplied> {
        let world = &self.0.world;
        for place in places {
            let name = place.projection.name();
            let Some(rows) = rows.get_mut(name) else { continue };
            for event in batch {
                let order = event.order();
                let is_new = world.is_strange(order) && !world.truth().understood.contains(&order);
                let taken =
                    if name == COUNTS && is_new { Err(strange(event)) } else { rows.apply(name, event) };
                taken.map_err(|error| NotApplied { due_to: Some(place.key()), error })?;
            }
            rows.epoch = epoch;
            rows.stopped_at = None;
        }
        Ok(())
    }

    /// Makes `rows` what is read; false if one of `places` is elsewhere by now, or has a later epoch.
    fn commit(
        &self,
        truth: &mut Truth,
        places: &[&Place],
        epoch: i64,
        rows: &BTreeMap<&'static str, Rows>,
    ) -> bool {
        let world = &self.0.world;
        let stands = places.iter().all(|place| {
            let there = truth.rows(place.projection.name());
            there.position == place.position && there.epoch <= epoch
        });
        if !stands && world.broken != Some(Broken::Checkpoint) {
            world.note(format_args!("{} is fenced off", self.0.name));
            return false;
        }
        for place in places {
            let name = place.projection.name();
            let Some(rows) = rows.get(name) else { continue };
            let (from, to) = (place.position, rows.position);
            world.note(format_args!("{} commits {name} {from} to {to}", self.0.name));
            checks::at_commit(truth, &self.0, name, rows);
            *truth.rows_mut(name) = rows.clone();
        }
        true
    }
}

/// What a program says of an event that a newer one wrote.
fn strange(event: &Event) -> ProjectError {
    let envelope = event.envelope();
    event.unreadable(Unreadable::Unknown { name: envelope.r#type.clone(), version: envelope.version })
}

#[async_trait]
impl ReadModelStore for SimRows {
    type Kept = Kept;

    fn journal(&self) -> JournalId {
        self.0.world.journal_id
    }

    async fn places(&self) -> Result<Vec<Place>, sqlx::Error> {
        let journal = self.0.world.journal_id.to_string();
        self.call("places", |truth| {
            let place = |model: &'static Named| {
                let rows = truth.rows(model.0);
                Place {
                    projection: model,
                    version: 1,
                    journal: journal.clone(),
                    position: rows.position,
                    generation: model.generation(),
                    has_failed: rows.stopped_at.is_some(),
                }
            };
            MODELS.iter().map(place).collect()
        })
        .await
    }

    async fn apply(
        &self,
        places: &[&Place],
        batch: &[Event],
        epoch: i64,
        kept: Kept,
    ) -> Result<Kept, NotApplied> {
        let Kept(mut rows) = kept;
        self.read(places, &mut rows).await?;
        self.fold(places, batch, epoch, &mut rows)?;
        let stands = self.call("commit", |truth| self.commit(truth, places, epoch, &rows)).await?;
        if stands { Ok(Kept(rows)) } else { Err(ProjectError::Fenced.into()) }
    }

    async fn stop(&self, place: &Place, epoch: i64, failure: &Failure) -> Result<(), sqlx::Error> {
        let (name, order) = (place.projection.name(), failure.position);
        self.call("stop", |truth| {
            self.0.world.note(format_args!("{} stops {name} in front of {order}", self.0.name));
            checks::at_stop(truth, &self.0, name, order);
            let rows = truth.rows_mut(name);
            if rows.position == place.position && rows.epoch <= epoch {
                rows.stopped_at = Some(order);
            }
            actors::replace(&self.0, order);
        })
        .await
    }

    async fn fence(&self, epoch: i64) -> Result<bool, sqlx::Error> {
        self.call("fence", |truth| {
            let mut is_latest = true;
            for Named(name) in &MODELS {
                let rows = truth.rows_mut(name);
                rows.epoch = rows.epoch.max(epoch);
                is_latest &= rows.epoch == epoch;
            }
            is_latest
        })
        .await
    }

    /// What is read is never remembered in this world.
    fn renewed(&self) {}

    fn alone_until(&self, moment: Instant) {
        let world = &self.0.world;
        let until = world.millisecond(moment);
        world.truth().alone.insert(self.0.process_id(), until);
    }

    fn not_alone(&self) {
        self.0.world.truth().alone.remove(&self.0.process_id());
    }

    fn is_news(&self, _: &Place, _: &Failure) -> bool {
        false
    }

    fn reached(&self, order: u64) {
        checks::at_progress(&mut self.0.world.truth(), &self.0, order);
    }
}
