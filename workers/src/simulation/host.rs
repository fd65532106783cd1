//! What the deploy workers of the simulated world have at hand: the list of open runs, a vault that nobody needs, and
//! playbooks that run, fail, hang and outlive their workers for a while.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::subcloud::StepOutcome;
use dcm_domain::value::{Phase, Secret, SecretRef, Timestamp};
use dcm_journal::lease::Holder;
use dcm_journal::vault::{EntryInfo, Vault, VaultError};
use dcm_projections::{BackupRunRow, RunRow};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::truth::Playbook;
use super::world::{Fate, Node};
use crate::deploy::{Ending, Hands, OpenRuns, PhaseWork, Play, Processes, Stopped};
use crate::playbook::ProcessIdentity;

/// How long a playbook may go on once it was told to end, in milliseconds.
const ENDS_WITHIN: u64 = 9_000;

/// A process' host.
pub struct SimHost(pub Arc<Node>);

#[async_trait]
impl Hands for SimHost {
    async fn prepare(&self, phase: &PhaseWork<'_>) -> Result<Option<Box<dyn Play>>, Stopped> {
        let mut dice = self.0.dice("prepare", phase.phase as u64);
        phase.step("simulated", StepOutcome::Done).await.map_err(Stopped::Refused)?;
        if phase.phase == Phase::Create {
            return Ok(None);
        }
        if dice.once_in(15) {
            return Err(Stopped::Unprepared("nothing is at hand".to_owned()));
        }
        self.0.after(dice.millis(5, 500)).await;
        let mut truth = self.0.world.truth();
        let entity = truth.entity_of(phase.run.id);
        let place = truth.playbooks.len();
        truth.playbooks.push(Playbook {
            run_id: phase.run.id,
            entity,
            phase: phase.phase,
            pid: self.0.process_id(),
            host: self.0.host,
            started: false,
            ends_at: u64::MAX,
        });
        let identity = ProcessIdentity {
            session: i32::try_from(place).unwrap_or(i32::MAX),
            start_time: 0,
            boot_id: self.0.host.to_owned(),
            marker: String::new(),
        };
        Ok(Some(Box::new(SimPlay { node: Arc::clone(&self.0), identity, place })))
    }

    async fn clear(&self, _: Uuid) {
        self.0.turn("clear", 0).await;
    }
}

/// A playbook under its supervisor.
struct SimPlay {
    node: Arc<Node>,
    identity: ProcessIdentity,
    place: usize,
}

impl SimPlay {
    fn ends(&self, within: u64) {
        let latest = self.node.world.now() + within;
        let mut truth = self.node.world.truth();
        if let Some(playbook) = truth.playbooks.get_mut(self.place) {
            playbook.ends_at = playbook.ends_at.min(latest);
        }
    }
}

impl Drop for SimPlay {
    fn drop(&mut self) {
        let within = self.node.dice("ends", 0).below(ENDS_WITHIN);
        self.ends(within);
    }
}

#[async_trait]
impl Play for SimPlay {
    fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    async fn run(self: Box<Self>, abort: CancellationToken) -> Ending {
        let world = &self.node.world;
        let mut dice = self.node.dice("playbook", 0);
        // It is ordered to start: a worker that is dead by now orders nothing.
        self.node.after(std::time::Duration::ZERO).await;
        let time = dice.millis(200, if dice.clone().once_in(4) { 25_000 } else { 3_000 });
        let by_itself = world.now() + u64::try_from(time.as_millis()).unwrap_or(0);
        let fails = dice.once_in(8);
        super::checks::at_start(&mut world.truth(), world.now(), self.place);
        self.ends(by_itself.saturating_sub(world.now()));
        world.note(format_args!("{} plays until {by_itself}", self.node.name));
        tokio::select! {
            biased;
            () = self.node.after(time) => match fails {
                true => Ending::Failed("it failed".to_owned()),
                false => Ending::Succeeded,
            },
            () = abort.cancelled() => {
                let within = dice.millis(10, 2_000);
                self.ends(u64::try_from(within.as_millis()).unwrap_or(0));
                self.node.after(within).await;
                Ending::Aborted
            }
        }
    }
}

impl Processes for SimHost {
    fn lives(&self, holder: &Holder) -> bool {
        self.0.world.truth().living.get(&holder.pid).copied().unwrap_or(false)
    }

    fn group_lives(&self, process: &ProcessIdentity) -> bool {
        let now = self.0.world.now();
        let place = usize::try_from(process.session).unwrap_or(usize::MAX);
        process.boot_id == self.0.host
            && self.0.world.truth().playbooks.get(place).is_some_and(|playbook| playbook.ends_at > now)
    }
}

#[async_trait]
impl OpenRuns for SimHost {
    async fn open_runs(&self, _: u32) -> Result<Vec<RunRow>, sqlx::Error> {
        let fate = self.0.turn("open-runs", 0).await;
        let rows = {
            let truth = self.0.world.truth();
            let subclouds = truth.subclouds.states.iter();
            let runs = subclouds.filter_map(|(uuid, subcloud)| Some((*uuid, subcloud.run.clone()?)));
            runs.map(|(uuid, run)| RunRow {
                run_id: run.id,
                uuid,
                requested_at: Timestamp::from_micros(0),
                worker: run.worker.clone(),
                kind: run.kind(),
            })
            .collect()
        };
        match fate != Fate::Refused && self.0.answered("open-runs", 0, fate).await {
            true => Ok(rows),
            false => Err(sqlx::Error::PoolTimedOut),
        }
    }

    async fn open_backup_runs(&self, _: u32) -> Result<Vec<BackupRunRow>, sqlx::Error> {
        Ok(Vec::new())
    }
}

/// A vault without entries: the runs of this world have no secrets.
pub struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn put_as(&self, id: Uuid, _: Uuid, _: &str, _: Secret) -> Result<SecretRef, VaultError> {
        Ok(SecretRef(id))
    }

    async fn get(&self, entry: &SecretRef, _: Uuid) -> Result<Secret, VaultError> {
        Err(VaultError::NotFound(*entry))
    }

    async fn delete(&self, _: &SecretRef) -> Result<bool, VaultError> {
        Ok(false)
    }

    async fn delete_owner(&self, _: Uuid) -> Result<u64, VaultError> {
        Ok(0)
    }

    async fn list(&self, _: Uuid) -> Result<Vec<EntryInfo>, VaultError> {
        Ok(Vec::new())
    }

    async fn entries_older_than(
        &self,
        _: Timestamp,
        _: Option<SecretRef>,
        _: u32,
    ) -> Result<Vec<(SecretRef, Uuid)>, VaultError> {
        Ok(Vec::new())
    }

    async fn reseal(&self) -> Result<u64, VaultError> {
        Ok(0)
    }

    fn digest(&self, _: Uuid, _: &[u8]) -> String {
        String::new()
    }

    async fn remember_name(&self, _: &str, _: &str) -> Result<(), VaultError> {
        Ok(())
    }

    async fn name_of(&self, _: &str) -> Result<Option<String>, VaultError> {
        Ok(None)
    }

    async fn forget(&self, _: &str) -> Result<bool, VaultError> {
        Ok(false)
    }
}
