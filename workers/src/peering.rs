//! Ends what waits for other controllers where nobody speaks with them, and what was left by peer groups that are gone.
//!
//! A migration ends once every member's run has; a synchronisation that no worker takes ends in its time. Every step is
//! a command that changes nothing the second time, so several processes may do it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use dcm_domain::association::command::LoseAssociationSync;
use dcm_domain::association::{self, PeerGroupAssociation, peer_group_reference};
use dcm_domain::peer_group;
use dcm_domain::peer_group::Migration;
use dcm_domain::peer_group::command::FinishMigration;
use dcm_domain::subcloud::command::LeavePeerGroup;
use dcm_domain::subcloud::{Rejection, RunOutcome};
use dcm_domain::value::Actor;
use dcm_journal::collection::{CollectionError, Lookup};
use dcm_journal::fleet::{Fleet, FleetError};
use dcm_journal::repository::{Meta, Unavailable};
use dcm_projections::{AssociationRow, PeerGroupRow, ReadModels};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::outage::{Outage, Told};

/// Rounds between two looks for members of peer groups that are gone.
const SELDOM: u32 = 30;

/// How long peers are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long a synchronisation waits for a worker.
    pub claim_within: Duration,
    /// The time after which a run of a migration that was never requested will not be: whoever began the migration is
    /// gone. Twice what the API gives itself for it.
    pub requested_within: Duration,
    /// How often is looked.
    pub poll: Duration,
}

impl Default for Times {
    /// The defaults of design §8.
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { claim_within: minute, requested_within: minute, poll: Duration::from_secs(1) }
    }
}

/// Why nothing more was ended this time.
#[derive(Debug, thiserror::Error)]
pub enum NotEnded {
    /// A stream could not be read or written.
    #[error(transparent)]
    Journal(#[from] Unavailable),
    /// The read models could not be read.
    #[error(transparent)]
    ReadModels(#[from] sqlx::Error),
}

/// What is waited for: an entity, and the run of it.
type Wait = (Uuid, Option<Uuid>);

/// Sees to migrations, synchronisations and memberships.
pub struct PeeringKeeper {
    fleet: Arc<Fleet>,
    models: Arc<ReadModels>,
    times: Times,
    /// Whether what was under way elsewhere, when it was taken over, is left as it is.
    leaves_imported: bool,
    /// What is waited for, and since when this process has known it: after a start, workers get their time too.
    seen: HashMap<Wait, Instant>,
    /// What cannot be ended.
    told: Told<Uuid>,
}

impl PeeringKeeper {
    /// Nothing is waited for yet.
    pub fn new(fleet: Arc<Fleet>, models: Arc<ReadModels>, times: Times) -> Self {
        Self { fleet, models, times, leaves_imported: false, seen: HashMap::new(), told: Told::default() }
    }

    /// Leaves what was under way elsewhere, when it was taken over, as it is: it is shown so until workers first start
    /// (decisions.md, "Import").
    #[must_use]
    pub fn without_workers(self) -> Self {
        Self { leaves_imported: true, ..self }
    }

    /// Looks from time to time until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::of("search for what waits for peers");
        for round in 0_u32.. {
            match self.look(round % SELDOM == 0).await {
                Ok(()) => outage.end(),
                Err(error) => outage.begin(&error),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.times.poll) => {}
            }
        }
    }

    /// Looks once; for members of peer groups that are gone too if it is `thorough`.
    ///
    /// # Errors
    /// [`NotEnded`]; what was ended by then stays ended, the rest is left for the next time.
    pub async fn look(&mut self, thorough: bool) -> Result<(), NotEnded> {
        let mut migrating = self.models.peer_groups().migrating().await?;
        let mut syncing = self.models.associations().syncing().await?;
        if self.leaves_imported {
            migrating.retain(|group| !group.state.migration.as_ref().is_some_and(Migration::is_imported));
            syncing.retain(|row| row.state.imported.is_none() || row.state.sync_run.is_some());
        }
        let waits = migrating.iter().map(migration_wait).chain(syncing.iter().map(sync_wait));
        let waits: HashSet<Wait> = waits.collect();
        self.seen.retain(|wait, _| waits.contains(wait));
        let now = Instant::now();
        for wait in waits {
            self.seen.entry(wait).or_insert(now);
        }
        for group in &migrating {
            self.end_migration(group).await?;
        }
        for row in syncing.iter().filter(|row| self.known_for(&sync_wait(row)) >= self.times.claim_within) {
            self.end_sync(row).await?;
        }
        if thorough { self.clear_memberships().await } else { Ok(()) }
    }

    fn known_for(&self, wait: &Wait) -> Duration {
        self.seen.get(wait).map(Instant::elapsed).unwrap_or_default()
    }

    /// Ends the group's migration if every run of it has ended.
    async fn end_migration(&self, group: &PeerGroupRow) -> Result<(), NotEnded> {
        let Some(migration) = &group.state.migration else { return Ok(()) };
        let given_up = self.known_for(&migration_wait(group)) >= self.times.requested_within;
        let Some(completed) = self.completed(migration, given_up).await? else { return Ok(()) };
        let command = FinishMigration { run_id: migration.run_id, completed };
        match self.fleet.collections().peer_groups.run(group.uuid, &command, &meta()).await {
            Ok(_) => {
                tracing::info!(group = group.state.peer_group_name, completed, "the migration has ended");
                Ok(())
            }
            Err(CollectionError::Rejected(peer_group::Rejection::NotFound)) => Ok(()),
            Err(CollectionError::Unavailable(cause)) => Err(cause.into()),
            Err(error) => {
                if self.told.is_news(group.uuid, &error) {
                    tracing::error!(group = group.state.peer_group_name, %error, "a migration cannot be ended");
                }
                Ok(())
            }
        }
    }

    /// How many members were rehomed, if every run has ended. A run that is not known counts as ended, without success,
    /// once it is `given_up`; a migration without members waits for that too.
    async fn completed(&self, migration: &Migration, given_up: bool) -> Result<Option<u32>, NotEnded> {
        let run_ids: Vec<Uuid> = migration.members.iter().map(|member| member.run_id).collect();
        if run_ids.is_empty() {
            return Ok(given_up.then_some(0));
        }
        let outcomes = self.models.subclouds().outcomes(&run_ids).await?;
        let mut completed = 0;
        for run_id in run_ids {
            match outcomes.get(&run_id) {
                Some(Some(outcome)) => completed += u32::from(outcome == RunOutcome::Succeeded.as_str()),
                Some(None) => return Ok(None),
                None if given_up => {}
                None => return Ok(None),
            }
        }
        Ok(Some(completed))
    }

    async fn end_sync(&self, row: &AssociationRow) -> Result<(), NotEnded> {
        let PeerGroupAssociation { id, sync_run: run_id, .. } = row.state;
        let command = LoseAssociationSync { run_id };
        match self.fleet.collections().associations.run(row.uuid, &command, &meta()).await {
            Ok(_) => {
                tracing::warn!(association = id, "no worker took the synchronisation with the peer");
                Ok(())
            }
            Err(CollectionError::Rejected(association::Rejection::NotFound)) => Ok(()),
            Err(CollectionError::Unavailable(cause)) => Err(cause.into()),
            Err(error) => {
                if self.told.is_news(row.uuid, &error) {
                    tracing::error!(association = id, %error, "a synchronisation cannot be ended");
                }
                Ok(())
            }
        }
    }

    /// Lets subclouds leave peer groups that are gone: the request that deleted them may have died, and somebody may
    /// have joined meanwhile (fleet.md §3.6).
    async fn clear_memberships(&self) -> Result<(), NotEnded> {
        let subclouds = self.models.subclouds();
        let collections = self.fleet.collections();
        for peer_group_id in subclouds.peer_group_ids().await? {
            // The directories know best: the read models of groups may be behind.
            if collections.peer_groups.resolve(Lookup::Id(peer_group_id)).await?.is_some() {
                continue;
            }
            // What was never deleted here is not gone: an old row may name a group that its installation had lost.
            let associations = collections.associations.directory().await?;
            if associations.closed_at(&peer_group_reference(peer_group_id)).is_none() {
                continue;
            }
            for row in subclouds.in_peer_group(peer_group_id).await? {
                match self.fleet.run(row.uuid, &LeavePeerGroup { peer_group_id }, &meta()).await {
                    Ok(_) | Err(FleetError::Subcloud(Rejection::NotFound)) => {}
                    Err(FleetError::Unavailable(cause)) => return Err(cause.into()),
                    Err(error) if self.told.is_news(row.uuid, &error) => {
                        tracing::error!(subcloud = %row.uuid, %error, "cannot leave its peer group");
                    }
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }
}

fn migration_wait(group: &PeerGroupRow) -> Wait {
    (group.uuid, group.state.migration.as_ref().map(|migration| migration.run_id))
}

fn sync_wait(row: &AssociationRow) -> Wait {
    (row.uuid, row.state.sync_run)
}

fn meta() -> Meta {
    Meta::new(Actor::system("peering"))
}
