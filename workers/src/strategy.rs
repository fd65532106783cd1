//! Sees to the update strategy where no orchestrator does: removes what is to be removed, aborts what was not started,
//! and ends what no worker takes in its time (fleet.md §9; design, invariant 10).

use std::sync::Arc;
use std::time::Duration;

use dcm_domain::aggregate::Command;
use dcm_domain::strategy::{Next, Rejection, SwUpdateStrategy, Watch, next};
use dcm_domain::value::{Actor, Timestamp};
use dcm_journal::fleet::Fleet;
use dcm_journal::repository::{CommandError, Meta, Unavailable};
use dcm_journal::vault::{Vault, VaultError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::outage::Outage;

/// Why nothing was done this time.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The strategy could not be read or written.
    #[error(transparent)]
    Journal(#[from] Unavailable),
    /// Its secrets could not be removed; the sweep does it later.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Sees to the strategy. Twice at once does no harm: every step is decided on its stream.
pub struct StrategyKeeper {
    fleet: Arc<Fleet>,
    vault: Arc<dyn Vault>,
    /// How long a started strategy may wait for a worker.
    claim_within: Duration,
    /// The time between two looks.
    every: Duration,
    /// Whether a strategy that was taken over is left as it was.
    leaves_imported: bool,
}

impl StrategyKeeper {
    /// A keeper that gives workers `claim_within` to take a strategy, and looks every second.
    pub fn new(fleet: Arc<Fleet>, vault: Arc<dyn Vault>, claim_within: Duration) -> Self {
        Self { fleet, vault, claim_within, every: Duration::from_secs(1), leaves_imported: false }
    }

    /// Leaves a strategy that was taken over as it was: it is shown so until workers first start (decisions.md, "Import").
    #[must_use]
    pub const fn without_workers(mut self) -> Self {
        self.leaves_imported = true;
        self
    }

    /// The same with another time between two looks.
    #[must_use]
    pub const fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Looks at the strategy until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let since = now();
        let mut outage = Outage::of("update strategy");
        while !stop.is_cancelled() {
            match self.look(since, now()).await {
                Ok(_) => outage.end(),
                Err(error) => outage.begin(&error),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }

    /// Does what is due at `now`, watching since `since`; false if nothing was.
    ///
    /// # Errors
    /// [`NotDone`]; it is due again the next time.
    pub async fn look(&self, since: Timestamp, now: Timestamp) -> Result<bool, NotDone> {
        let Some(state) = self.fleet.strategies().load().await?.state else { return Ok(false) };
        let claim_within = i64::try_from(self.claim_within.as_micros()).unwrap_or(i64::MAX);
        let watch = Watch { since, now, claim_within };
        let (Some(due), Some(strategy)) = (next(&state, watch), &state.current) else { return Ok(false) };
        if self.leaves_imported && strategy.taken_over {
            return Ok(false);
        }
        let (uuid, id, kind) = (strategy.uuid, strategy.id, strategy.kind);
        match due {
            Next::Remove(command) => {
                // The event first: until then the strategy owns its secrets.
                if self.carry_out(&command).await? {
                    self.forget(uuid).await?;
                    tracing::info!(id, %kind, "removed the update strategy");
                }
            }
            Next::AbortSteps(command) => {
                if self.carry_out(&command).await? {
                    tracing::info!(id, %kind, "aborted what was not started of the update strategy");
                }
            }
            Next::EndUnclaimed(command) => {
                if self.carry_out(&command).await? {
                    tracing::warn!(id, %kind, "ended the update strategy: no worker took it");
                }
            }
        }
        Ok(true)
    }

    /// Carries out what is due; false if it is no longer.
    async fn carry_out<C>(&self, command: &C) -> Result<bool, Unavailable>
    where
        C: Command<SwUpdateStrategy, Rejection = Rejection>,
    {
        match self.fleet.strategies().run(command, &Meta::new(Actor::system("strategy-keeper"))).await {
            Ok(_) => Ok(true),
            Err(CommandError::Unavailable(cause)) => Err(cause),
            // Somebody else was faster.
            Err(CommandError::Rejected(_) | CommandError::IdReused) => Ok(false),
        }
    }

    async fn forget(&self, owner: Uuid) -> Result<(), VaultError> {
        self.vault.delete_owner(owner).await.map(drop)
    }
}

fn now() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use dcm_domain::strategy::command::{ApplyStrategy, ImportStrategy};
    use dcm_domain::strategy::{ImportedStep, StepState, StrategyImported, StrategyState, StrategyType};
    use dcm_domain::value::{Name, Secret};
    use serde_json::Value;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    struct Site {
        keeper: StrategyKeeper,
        fleet: Arc<Fleet>,
        vault: Arc<dyn Vault>,
        owner: Uuid,
        _dir: tempfile::TempDir,
    }

    fn meta() -> Meta {
        Meta::new(Actor::system("test"))
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::from_micros(now().micros() + seconds * 1_000_000)
    }

    /// A controller with a strategy in `state`, of one step that was not started, and with a secret.
    async fn site(state: StrategyState) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let journal = dcm_journal::store::open("embedded:", dir.path()).await.unwrap();
        let vault = dcm_journal::vault::open("embedded:", dir.path(), None).await.unwrap();
        let fleet = Arc::new(Fleet::new(&journal).unwrap());
        let owner = Uuid::now_v7();
        let password = vault.put(owner, "sysadmin_password", Secret::new("p".to_owned())).await.unwrap();
        let strategy = StrategyImported {
            uuid: owner,
            id: 4,
            kind: StrategyType::Prestage,
            apply_type: None,
            max_parallel_subclouds: 2,
            stop_on_failure: false,
            state,
            extra_args: Value::Null,
            sysadmin_password: Some(password),
            created_at: None,
            updated_at: None,
            at: now(),
        };
        let step = ImportedStep {
            id: 1,
            subcloud: Uuid::now_v7(),
            subcloud_id: 1,
            name: Name::parse("subcloud1").unwrap(),
            stage: 1,
            state: StepState::initial(),
            details: String::new(),
            started_at: None,
            finished_at: None,
            created_at: None,
            updated_at: None,
        };
        fleet.strategies().run(&ImportStrategy { strategy, steps: vec![step] }, &meta()).await.unwrap();
        let keeper = StrategyKeeper::new(Arc::clone(&fleet), Arc::clone(&vault), MINUTE);
        Site { keeper, fleet, vault, owner, _dir: dir }
    }

    impl Site {
        async fn state(&self) -> Option<(StrategyState, String)> {
            let state = self.fleet.strategies().load().await.unwrap().state?;
            let strategy = state.current.as_ref()?;
            let step = strategy.steps.first().unwrap();
            Some((strategy.state, format!("{}: {}", step.state, step.details)))
        }
    }

    #[tokio::test]
    async fn fl_134_what_is_deleting_goes_with_its_secrets() {
        let site = site(StrategyState::Deleting).await;
        let stop = CancellationToken::new();
        let keeper = site.keeper.every(Duration::from_millis(5));
        let (until, fleet) = (stop.clone(), Arc::clone(&site.fleet));
        let running = tokio::spawn(async move { keeper.run(until).await });
        let gone = async {
            while fleet.strategies().load().await.unwrap().state.unwrap().current.is_some()
                || !site.vault.list(site.owner).await.unwrap().is_empty()
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(MINUTE, gone).await.expect("it is removed");
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn fl_132_an_abort_ends_what_was_not_started() {
        let site = site(StrategyState::AbortRequested).await;
        assert!(site.keeper.look(now(), now()).await.unwrap());
        assert_eq!(site.state().await, Some((StrategyState::Aborted, "aborted: ".to_owned())));
        assert!(!site.keeper.look(now(), after(3600)).await.unwrap());
    }

    #[tokio::test]
    async fn what_was_taken_over_stays_until_workers_start() {
        for state in [StrategyState::Applying, StrategyState::AbortRequested, StrategyState::Deleting] {
            let mut site = site(state).await;
            let before = site.state().await;
            site.keeper = site.keeper.without_workers();
            assert!(!site.keeper.look(now(), after(3600)).await.unwrap());
            assert_eq!(site.state().await, before);
            site.keeper.leaves_imported = false;
            assert!(site.keeper.look(now(), after(3600)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn what_no_worker_takes_fails_in_time() {
        let site = site(StrategyState::Initial).await;
        assert!(!site.keeper.look(now(), after(3600)).await.unwrap(), "nobody has started it");
        site.fleet.strategies().run(&ApplyStrategy { kind: None }, &meta()).await.unwrap();
        let since = now();
        assert!(!site.keeper.look(since, after(50)).await.unwrap());
        assert!(site.keeper.look(since, after(61)).await.unwrap());
        let failed = (StrategyState::Failed, "failed: no worker for prestage".to_owned());
        assert_eq!(site.state().await, Some(failed));
        assert_eq!(site.vault.list(site.owner).await.unwrap().len(), 1, "it may still be looked at");
    }
}
