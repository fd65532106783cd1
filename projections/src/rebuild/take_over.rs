//! Making a version the one that is read: in one transaction, in which the one that was read before is held still.

use sqlx::{AnyConnection, Row};
use tokio_util::sync::CancellationToken;

use super::fill::NOT_READ;
use super::{Rebuild, RebuildError};
use crate::batch;
use crate::checkpoint::{self, Advance};
use crate::compare::{self, Comparison, Connections, Sides};
use crate::port::ReadModelStore;
use crate::projection::ProjectError;
use crate::store::ReadModels;
use crate::writing::Writing;

/// Events that are folded while the version that is read is held still; with more to fold, it is let go on first.
const LAST_EVENTS: usize = 2000;

/// The version that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub version: i64,
    pub position: u64,
    /// It is of this journal: nobody may be taken back behind what it shows.
    pub is_ours: bool,
    /// It was made by the same generation too: its rows can be compared.
    pub can_be_compared: bool,
    /// It goes on; otherwise it has stopped in front of an event, which the new version may be able to take,
    /// or only another program can go on with it.
    pub goes_on: bool,
}

/// What became of an attempt.
enum Attempt {
    /// The version is read from now on.
    Taken(Option<Comparison>),
    /// The one that is read went on too far.
    TooFarBehind,
    Differs(Comparison),
}

impl Rebuild {
    /// The version that is read now.
    pub(super) async fn live(&self) -> Result<Live, RebuildError> {
        let places = self.models.places().await?;
        let place = places.iter().find(|place| place.projection.name() == self.projection.name());
        let place = place.ok_or(ProjectError::Fenced)?;
        let head = self.journal.head().await.map_err(ProjectError::from)?;
        // One that belongs to a journal that was replaced shows nothing that matters.
        let is_ours = place.journal == self.models.journal.to_string() && place.position <= head;
        Ok(Live {
            version: place.version,
            position: place.position,
            is_ours,
            can_be_compared: is_ours && place.generation == self.projection.generation(),
            goes_on: !place.has_failed && self.projection.knows(place.generation),
        })
    }

    /// Takes over without a comparison.
    pub(super) async fn catch_up_and_take_over(
        &mut self,
        cancel: &CancellationToken,
    ) -> Result<(u64, Option<Comparison>), RebuildError> {
        let live = self.live().await?;
        self.take_over_compared(live, None, cancel).await.map_err(|(error, _)| error)
    }

    /// Folds what is missing and takes over from `live`, unless rows differ that `compared` found. Returns where the version
    /// was then, and the rows that do differ.
    pub(super) async fn take_over_compared(
        &mut self,
        live: Live,
        compared: Option<Comparison>,
        cancel: &CancellationToken,
    ) -> Result<(u64, Option<Comparison>), (RebuildError, Option<Comparison>)> {
        let failed = |error: RebuildError| (error, None);
        loop {
            let now = self.live().await.map_err(failed)?;
            if now.version != live.version {
                return Err(failed(ProjectError::Fenced.into()));
            }
            // What has stopped is not waited for: everything there is can be shown.
            let until = match now.is_ours && now.goes_on {
                true => now.position,
                false => {
                    self.journal.head().await.map_err(|error| failed(ProjectError::from(error).into()))?
                }
            };
            let position = self.fill(until, cancel).await.map_err(failed)?;
            match self.attempt(live, position, compared.as_ref()).await.map_err(failed)? {
                (position, Attempt::Taken(found)) => return Ok((position, found)),
                (_, Attempt::TooFarBehind) => {}
                (_, Attempt::Differs(found)) => {
                    return Err((RebuildError::Differs(found.count()), Some(found)));
                }
            }
        }
    }

    async fn attempt(
        &mut self,
        live: Live,
        mut position: u64,
        compared: Option<&Comparison>,
    ) -> Result<(u64, Attempt), RebuildError> {
        let (name, version) = (self.projection.name(), self.version);
        let mut tx = self.models.writes.begin().await?;
        let held = hold(&mut tx, name, live.version).await?.ok_or(ProjectError::Fenced)?;
        if live.is_ours && held.position > position {
            let events = self.journal.read_all(position, LAST_EVENTS).await.map_err(ProjectError::from)?;
            let mut events = batch::events(events);
            events.retain(|event| event.order() <= held.position);
            match events.last() {
                Some(last) if last.order() == held.position => {
                    let mut memory = std::mem::take(&mut self.memory);
                    let mut writing = Writing::now(&mut tx);
                    self.projection.go_on(&mut writing, version, &events, &mut memory).await?;
                    let (to, event_time) = (last.order(), last.at());
                    let step = Advance { from: position, to, epoch: NOT_READ, event_time };
                    if !checkpoint::advance(&mut tx, &[(name, version)], step).await? {
                        return Err(ProjectError::Fenced.into());
                    }
                    self.claim.folded(&mut tx, &self.models, events.len() as u64).await?;
                    position = to;
                }
                _ => return Ok((position, Attempt::TooFarBehind)),
            }
        }
        let mut found = None;
        if let Some(compared) = compared {
            // Only at the same place they can be compared; what has stopped was compared while it stood there.
            let again = match held.position == position {
                true => {
                    let connections = Connections::One(&mut tx);
                    let mut sides = Sides { connections, looked_at: version, right: live.version };
                    compare::again(self.projection, &mut sides, compared).await?
                }
                false => compared.clone(),
            };
            if again.count() > 0 && !self.options.accept_differences {
                return Ok((position, Attempt::Differs(again)));
            }
            found = Some(again);
        }
        self.switch(&mut tx, live.version, held.epoch).await?;
        self.models.commit(tx).await?;
        Ok((position, Attempt::Taken(found)))
    }

    /// The one statement, and what belongs to it: events that come from now on are the projector's, under its own epoch.
    async fn switch(
        &self,
        connection: &mut AnyConnection,
        from: i64,
        epoch: i64,
    ) -> Result<(), RebuildError> {
        let name = self.projection.name();
        let given =
            sqlx::query("update projection_checkpoint set epoch = $1 where name = $2 and version = $3")
                .bind(epoch)
                .bind(name)
                .bind(self.version)
                .execute(&mut *connection)
                .await?;
        let moved = sqlx::query(
            "update read_model set active_version = $1, previous_version = active_version
             where name = $2 and active_version = $3",
        )
        .bind(self.version)
        .bind(name)
        .bind(from)
        .execute(connection)
        .await?;
        match given.rows_affected() == 1 && moved.rows_affected() == 1 {
            true => Ok(()),
            false => Err(ProjectError::Fenced.into()),
        }
    }
}

/// A checkpoint that no projector can move until the transaction ends.
struct Held {
    position: u64,
    epoch: i64,
}

/// Keeps projectors from moving the checkpoint of the version that is read, until the transaction ends or, once it
/// commits, for good: a step that is under way is waited for, a later one is fenced off.
async fn hold(
    connection: &mut AnyConnection,
    name: &'static str,
    version: i64,
) -> Result<Option<Held>, sqlx::Error> {
    // Locked by a write that changes nothing: the epoch must be read as it is under the lock.
    let locked = sqlx::query(
        "update projection_checkpoint set epoch = epoch where name = $1 and version = $2
         returning position, epoch",
    )
    .bind(name)
    .bind(version)
    .fetch_all(&mut *connection)
    .await?;
    let Some(row) = locked.first() else { return Ok(None) };
    let held =
        Held { position: u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0), epoch: row.try_get(1)? };
    sqlx::query("update projection_checkpoint set epoch = $1 where name = $2 and version = $3")
        .bind(NOT_READ)
        .bind(name)
        .bind(version)
        .execute(&mut *connection)
        .await?;
    let active = ReadModels::active_version(connection, name).await?;
    Ok((active == version).then_some(held))
}
