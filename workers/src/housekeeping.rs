//! Tidies up what crashes left half-way in the directory (design.md §4): reservations that were never confirmed,
//! renames that were never ended, entries of subclouds that are deleted, and groups and subnets that are not theirs.
//!
//! Every step is decided on the subcloud's own stream and can be made twice, so it does no harm if two workers tidy up
//! at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dcm_domain::directory::{Directory, Entry};
use dcm_domain::value::{Actor, Subnet, Timestamp};
use dcm_journal::fleet::{Fleet, FleetError};
use dcm_journal::repository::Meta;
use dcm_projections::ReadModels;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::outage::{Outage, Told};

/// The time between two looks.
const EVERY: Duration = Duration::from_secs(30);

/// Why nothing more was settled this time.
#[derive(Debug, thiserror::Error)]
pub enum NotSettled {
    /// The directory or a subcloud could not be read or written.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The read models could not be read.
    #[error(transparent)]
    ReadModels(#[from] sqlx::Error),
}

/// Tidies up, remembering how far it has looked.
pub struct Housekeeping {
    fleet: Arc<Fleet>,
    models: Arc<ReadModels>,
    /// Version and position of the read model up to which deleted subclouds were looked at.
    seen: (i64, u64),
    /// Group and subnet of each subcloud up to there.
    places: HashMap<Uuid, (i64, Option<Subnet>)>,
    /// Entries that did not agree with their subclouds at the last look: commands may have been under way.
    drifting: HashMap<Uuid, Entry>,
    /// Entries that cannot be made to agree.
    told: Told<Uuid>,
}

impl Housekeeping {
    /// Nothing is looked at yet.
    pub fn new(fleet: Arc<Fleet>, models: Arc<ReadModels>) -> Self {
        let (places, drifting) = (HashMap::new(), HashMap::new());
        Self { fleet, models, seen: (0, 0), places, drifting, told: Told::default() }
    }

    /// Tidies up at once and then every 30 s, until `stop`. What does not answer is asked again.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut outage = Outage::of("housekeeping");
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            match self.settle(Timestamp::from(chrono::Utc::now())).await {
                Ok(_) => outage.end(),
                Err(error) => outage.begin(&error),
            }
        }
    }

    /// Tidies up once, reservations that are stale at `now` included. Returns how many entries were settled.
    ///
    /// # Errors
    /// [`NotSettled`]; what was settled by then stays settled, the rest is left for the next time.
    pub async fn settle(&mut self, now: Timestamp) -> Result<usize, NotSettled> {
        let stale = self.fleet.settle(now, &meta()).await?;
        if stale > 0 {
            tracing::info!(entries = stale, "settled what was begun in the directory and never ended");
        }
        let directory = self.fleet.directory().await.map_err(FleetError::from)?;
        let released = self.release_deleted(&directory).await?;
        Ok(stale + released + self.correct_drift(&directory).await?)
    }

    /// Releases what subclouds still hold that were deleted since the last look.
    async fn release_deleted(&mut self, directory: &Directory) -> Result<usize, NotSettled> {
        let (version, position) = self.seen;
        let changes = self.models.subclouds().changes(version, position).await?;
        let mut released = 0;
        for row in changes.rows.iter().filter(|row| row.subcloud.deleted) {
            let Some(entry) = directory.entry(row.uuid) else { continue };
            self.fleet.settle_entry(row.uuid, entry, &meta()).await?;
            tracing::info!(name = %entry.name, region = %entry.region, "released what a deleted subcloud held");
            released += 1;
        }
        for row in changes.rows {
            let subnet = Subnet::parse(&row.subcloud.network.subnet).ok();
            match row.subcloud.deleted {
                true => self.places.remove(&row.uuid),
                false => self.places.insert(row.uuid, (row.subcloud.group_id, subnet)),
            };
        }
        self.seen = (changes.version, changes.position);
        Ok(released)
    }

    /// Gives entries back the group and subnet of their subclouds, if a crash between two steps parted them: what is
    /// still the same at the second look is nobody's work any more.
    async fn correct_drift(&mut self, directory: &Directory) -> Result<usize, NotSettled> {
        let parted = |(entity, entry): &(Uuid, &Entry)| {
            self.places.get(entity).is_some_and(|(group_id, subnet)| {
                *group_id != entry.group_id
                    || subnet.as_ref().is_some_and(|subnet| Some(subnet) != entry.subnet.as_ref())
            })
        };
        let drifting: HashMap<Uuid, Entry> =
            directory.entries().filter(parted).map(|(entity, entry)| (entity, entry.clone())).collect();
        let mut corrected = 0;
        for (entity, entry) in
            drifting.iter().filter(|(entity, entry)| self.drifting.get(entity) == Some(entry))
        {
            match self.fleet.settle_entry(*entity, entry, &meta()).await {
                Ok(()) => {}
                Err(error @ FleetError::Unavailable(_)) => return Err(error.into()),
                Err(error) => {
                    if self.told.is_news(*entity, &error) {
                        tracing::error!(name = %entry.name, %error, "the directory disagrees with a subcloud");
                    }
                    continue;
                }
            }
            tracing::info!(name = %entry.name, region = %entry.region, "gave back its subcloud's group and subnet");
            corrected += 1;
        }
        self.drifting = drifting;
        Ok(corrected)
    }
}

fn meta() -> Meta {
    Meta::new(Actor::system("housekeeping"))
}
