//! Create a strategy.

use serde::Serialize;
use uuid::Uuid;

use crate::aggregate::{Command, Facts};
use crate::strategy::request::is_named;
use crate::strategy::{
    Asked, Candidate, GivenPassword, PlannedStep, PlatformFacts, Rejection, StepsPlanned, StrategyCreated,
    StrategyDeletionRequested, StrategyEvent, StrategyRequest, StrategyType, SwUpdateStrategy, Work,
    prestage,
};
use crate::subcloud::SkippedCheck;
use crate::value::SyncStatus;

/// Steps that one event names: however many subclouds there are, an event stays far below what a message may hold.
const STEPS_PER_EVENT: usize = 500;

/// Creates the one strategy with its steps (fleet.md §8.4). If no subcloud needs it, the strategy is made and deleted
/// in one, as the contract has it; the caller tells by its state.
#[derive(Clone, Debug, Serialize)]
pub struct CreateStrategy {
    /// Owner of its vault entries, drawn by the caller.
    pub uuid: Uuid,
    /// What it is to be.
    pub request: StrategyRequest,
    /// What the controller's platform says.
    pub platform: PlatformFacts,
    /// Every subcloud, by id. Not recorded: the events name those that were chosen.
    #[serde(skip)]
    pub candidates: Vec<Candidate>,
}

impl Command<SwUpdateStrategy> for CreateStrategy {
    type Rejection = Rejection;
    const NAME: &'static str = "CreateStrategy";

    fn decide(
        &self,
        state: Option<&SwUpdateStrategy>,
        facts: &Facts,
    ) -> Result<Vec<StrategyEvent>, Rejection> {
        if let Some(existing) = state.and_then(|state| state.current.as_ref()) {
            return Err(Rejection::Exists(existing.kind));
        }
        self.check_release()?;
        self.check_named()?;
        self.check_prestage()?;
        self.check_known()?;
        if let Work::KubeRootca(arguments) = &self.request.work {
            arguments.check(facts.now)?;
        }
        let empty = SwUpdateStrategy::default();
        let state = state.unwrap_or(&empty);
        let created = self.created(state.next_id(), facts);
        let steps = self.steps(state.next_step_id());
        let nothing_to_do = steps.is_empty().then(|| StrategyDeletionRequested {
            id: created.id,
            reason: Some(Rejection::NoSteps.to_string()),
            at: facts.now,
        });
        let planned = steps.chunks(STEPS_PER_EVENT).map(|steps| StepsPlanned { steps: steps.to_vec() });
        let mut events = vec![created.into()];
        events.extend(planned.map(StrategyEvent::from));
        events.extend(nothing_to_do.map(StrategyEvent::from));
        Ok(events)
    }
}

impl CreateStrategy {
    fn kind(&self) -> StrategyType {
        self.request.work.kind()
    }

    /// Step 3.
    fn check_release(&self) -> Result<(), Rejection> {
        match (&self.request.release, &self.platform.loads) {
            (Some(_), Asked::Failed(why)) => Err(Rejection::PlatformFailed(why.clone())),
            _ => Ok(()),
        }
    }

    /// Step 4, for all types but prestage.
    fn check_named(&self) -> Result<(), Rejection> {
        let Some(named) = self.named()? else { return Ok(()) };
        let kind = self.kind();
        let lifted = self.request.force && kind.is_forced_in_sync();
        match kind.endpoint() {
            Some(endpoint) if named.status(kind) == Some(SyncStatus::InSync) && !lifted => {
                Err(Rejection::AlreadyInSync { name: named.name.clone(), endpoint })
            }
            _ => Ok(()),
        }
    }

    /// Steps 4 and 5, for prestage.
    fn check_prestage(&self) -> Result<(), Rejection> {
        let Work::Prestage { password } = self.request.work else { return Ok(()) };
        prestage::check_globally(password, &self.platform)?;
        match self.named()? {
            Some(named) => prestage::check_subcloud(named, &self.request, &self.platform),
            None => Ok(()),
        }
    }

    /// Step 7.
    fn check_known(&self) -> Result<(), Rejection> {
        let kind = self.kind();
        let unknown =
            self.in_scope().find_map(|candidate| Some((candidate, candidate.unknown_endpoint(kind)?)));
        match unknown {
            Some((candidate, endpoint)) => {
                Err(Rejection::UnknownSyncStatus { name: candidate.name.clone(), endpoint })
            }
            None => Ok(()),
        }
    }

    /// The subcloud that was named, if one was.
    fn named(&self) -> Result<Option<&Candidate>, Rejection> {
        let Some(name) = self.request.scope.named() else { return Ok(None) };
        let found = self.candidates.iter().find(|candidate| is_named(candidate, name));
        found.map(Some).ok_or_else(|| Rejection::UnknownSubcloud(name.chars().take(255).collect()))
    }

    fn in_scope(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|candidate| self.request.scope.includes(candidate))
    }

    fn created(&self, id: i64, facts: &Facts) -> StrategyCreated {
        let (apply_type, max_parallel_subclouds) = self.request.parallelism();
        StrategyCreated {
            uuid: self.uuid,
            id,
            kind: self.kind(),
            apply_type,
            max_parallel_subclouds,
            stop_on_failure: self.request.stop_on_failure,
            extra_args: self.request.extra_args(&self.platform.active_release),
            sysadmin_password: match self.request.work {
                Work::Prestage { password: GivenPassword::Kept(entry) } => Some(entry),
                _ => None,
            },
            skipped_checks: self.skipped(),
            at: facts.now,
        }
    }

    /// The checks that nothing configured could answer.
    fn skipped(&self) -> Vec<SkippedCheck> {
        let skipped =
            |check: &str, reason: &String| SkippedCheck { check: check.to_owned(), reason: reason.clone() };
        let mut all = Vec::new();
        if let Asked::NotConfigured(reason) = &self.platform.upgrading {
            all.push(skipped("platform upgrade in progress", reason));
        }
        if let Asked::NotConfigured(reason) = &self.platform.loads {
            all.push(skipped("release among the loads", reason));
        }
        all
    }

    /// §8.6, in the order of the subclouds' ids.
    fn steps(&self, first_id: i64) -> Vec<PlannedStep> {
        let (kind, force) = (self.kind(), self.request.force);
        let mut chosen: Vec<&Candidate> =
            self.in_scope().filter(|candidate| candidate.gets_step(kind, force)).collect();
        chosen.sort_by_key(|candidate| candidate.id);
        (first_id..)
            .zip(chosen)
            .map(|(id, candidate)| PlannedStep {
                id,
                subcloud: candidate.subcloud,
                subcloud_id: candidate.id,
                name: candidate.name.clone(),
            })
            .collect()
    }
}
