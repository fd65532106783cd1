//! Random histories of commands on one subcloud: repeated, late, in any order. Whatever is asked, the aggregate agrees
//! with the model, its events agree with its state, and its stored history gives it back.

use std::collections::HashMap;

use dcm_domain::aggregate::{Aggregate, Command};
use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{
    CreationAbandoned, DeployRunRequested, Rejection, RunInputs, RunOutcome, StepOutcome, Subcloud,
    SubcloudAdded, SubcloudEvent as E, Task,
};
use dcm_domain::value::{
    Availability, DeployStatus as S, Endpoint, ManagementState as M, Name, Phase, SyncStatus,
};
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use crate::act::Act;
use crate::kit::FACTS;
use crate::model::{Life, Model, ModelRun};
use crate::samples::{
    added, deploy, document, name, net, number, prestage, reconfigure, redeploy, rehome_data, stored,
};

/// A request that refers to runs, phases and revisions by what they are at the time.
#[derive(Clone, Debug)]
struct Drawn {
    act: Act,
    /// Another run than the last one is meant, so many back.
    runs_back: usize,
    /// Another phase than the one the run is at is meant.
    other_phase: bool,
    /// The revision an audit looked at, so many commands back.
    seen_back: Option<usize>,
}

const NO_RUN: Uuid = Uuid::nil();

/// Statuses worth asking for: the three that can be, and any other.
fn any_status() -> impl Strategy<Value = S> {
    prop_oneof![
        1 => Just(S::Secondary),
        3 => Just(S::RehomePending),
        2 => Just(S::Complete),
        1 => select(S::ALL),
    ]
}

fn any_verb() -> impl Strategy<Value = DeployVerb> {
    select(vec![DeployVerb::Install, DeployVerb::Bootstrap, DeployVerb::Configure, DeployVerb::Resume])
}

fn operator() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => any::<(bool, bool)>().prop_map(|(force, migrate)| Act::Manage { force, migrate: force && migrate }),
        6 => any::<bool>().prop_map(|migrate| Act::Unmanage { migrate }),
        3 => Just(Act::Migrate),
        1 => (any_status(), any::<Option<bool>>(), any::<bool>())
            .prop_map(|(to, managed, force)| Act::Change { to, managed, force }),
        2 => (1_i64..4).prop_map(|group| Act::Update { group }),
        2 => (0_u8..3).prop_map(|to| Act::Rename { to }),
        1 => Just(Act::Delete),
        1 => Just(Act::Abandon),
        24 => (any_verb(), any::<bool>(), any::<bool>())
            .prop_map(|(verb, install, config)| Act::Deploy { verb, run: NO_RUN, install, config }),
        4 => any::<(bool, bool)>()
            .prop_map(|(install, config)| Act::Redeploy { run: NO_RUN, install, config }),
        4 => Just(Act::Prestage { run: NO_RUN }),
        3 => (0_u8..3).prop_map(|net| Act::Reconfigure { run: NO_RUN, net }),
        4 => Just(Act::TakeOver { run: NO_RUN }),
        2 => Just(Act::CompleteDeployment),
        16 => Just(Act::Abort),
        8 => prop::bool::weighted(0.8).prop_map(|online| Act::Availability { online }),
    ]
}

fn worker() -> impl Strategy<Value = Act> {
    let (run, phase) = (NO_RUN, Phase::Create);
    prop_oneof![
        12 => Just(Act::Claim { run }),
        12 => Just(Act::Start { run, phase }),
        16 => Just(Act::Play { run, phase }),
        20 => Just(Act::Complete { run, phase }),
        2 => any::<bool>().prop_map(move |started| Act::Fail { run, phase, started }),
        14 => Just(Act::AbortPhase { run, phase }),
        2 => Just(Act::Step { run, phase }),
        1 => any::<bool>().prop_map(move |worker_lost| Act::Lose { run, worker_lost }),
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    let added = any::<(bool, bool)>();
    prop_oneof![
        1 => (added, prop::bool::weighted(0.1), prop::bool::weighted(0.9)).prop_map(
            |((install, config), secondary, initial)| Act::Add { run: NO_RUN, secondary, install, config, initial }
        ),
        8 => operator(),
        12 => worker(),
        5 => (select(Endpoint::ALL), select(SyncStatus::ALL))
            .prop_map(|(endpoint, status)| Act::Report { endpoint, status, seen: None }),
    ]
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let runs_back = prop_oneof![9 => Just(0), 1 => 1_usize..4];
    let seen_back = prop_oneof![1 => Just(None), 2 => (0_usize..6).prop_map(Some)];
    (any_act(), runs_back, prop::bool::weighted(0.1), seen_back)
        .prop_map(|(act, runs_back, other_phase, seen_back)| Drawn { act, runs_back, other_phase, seen_back })
}

/// The aggregate, its model and everything told so far.
struct History {
    state: Option<Subcloud>,
    model: Model,
    events: Vec<E>,
    runs: Vec<Uuid>,
    revisions: Vec<u64>,
}

impl History {
    fn new() -> Self {
        Self { state: None, model: Model::new(), events: Vec::new(), runs: Vec::new(), revisions: vec![0] }
    }

    /// Fills in what the request refers to.
    fn resolve(&mut self, drawn: &Drawn) -> Act {
        let mut act = drawn.act.clone();
        let told =
            self.runs.len().checked_sub(1 + drawn.runs_back).and_then(|index| self.runs.get(index).copied());
        let at = self.model.run.as_ref().and_then(|run| run.todo.first()).copied().unwrap_or(Phase::Create);
        let phase_meant = if drawn.other_phase { Phase::ALL[drawn.seen_back.unwrap_or(0)] } else { at };
        match &mut act {
            Act::Add { run, .. }
            | Act::Deploy { run, .. }
            | Act::Redeploy { run, .. }
            | Act::Prestage { run }
            | Act::Reconfigure { run, .. }
            | Act::TakeOver { run } => {
                *run = Uuid::from_u128(self.runs.len() as u128 + 1);
                self.runs.push(*run);
            }
            Act::Claim { run } | Act::Lose { run, .. } => *run = told.unwrap_or(NO_RUN),
            Act::Start { run, phase }
            | Act::Play { run, phase }
            | Act::Complete { run, phase }
            | Act::Fail { run, phase, .. }
            | Act::AbortPhase { run, phase }
            | Act::Step { run, phase } => {
                // The newest run may have been refused: mostly mean the one that is active.
                let active = self.model.run.as_ref().map(|run| run.id);
                *run = if drawn.runs_back == 0 { active.or(told) } else { told }.unwrap_or(NO_RUN);
                *phase = phase_meant;
            }
            Act::Report { seen, .. } => {
                *seen =
                    drawn.seen_back.map(|back| self.revisions[self.revisions.len().saturating_sub(1 + back)]);
            }
            _ => {}
        }
        if let (Act::Claim { run } | Act::Lose { run, .. }, 0, Some(active)) =
            (&mut act, drawn.runs_back, &self.model.run)
        {
            *run = active.id;
        }
        act
    }

    fn tell(&mut self, drawn: &Drawn) -> Result<(), TestCaseError> {
        let act = self.resolve(drawn);
        let expected = self.model.after(&act);
        let decided = decide(&act, self.state.as_ref());
        prop_assert_eq!(decided.is_ok(), expected.is_some(), "{:?} on {:?}: {:?}", act, self.model, decided);
        let (Ok(events), Some(mut expected)) = (decided, expected) else { return Ok(()) };
        self.state = follow(self.state.take(), &events, &act)?;
        self.events.extend(events);
        let revision = self.state.as_ref().map_or(0, |state| state.revision);
        if (expected.managed, expected.deploy) != (self.model.managed, self.model.deploy) {
            expected.axes_since = revision;
        }
        self.model = expected;
        self.revisions.push(revision);
        agree(self.state.as_ref(), &self.model, &act)?;
        // The same again, on what it led to: whatever it comes to now, it is no contradiction.
        if let Ok(again) = decide(&act, self.state.as_ref()) {
            follow(self.state.clone(), &again, &act)?;
        }
        Ok(())
    }
}

fn decide(act: &Act, state: Option<&Subcloud>) -> Result<Vec<E>, Rejection> {
    let details = Details::default();
    match act.clone() {
        Act::Add { run, secondary, install, config, initial } => {
            let phases = if secondary { vec![Phase::Secondary] } else { add_phases(install, config) };
            let inputs = RunInputs { rehome: Some(rehome_data()), ..RunInputs::default() };
            let subcloud = SubcloudAdded {
                name: name("name0"),
                network: net(0),
                install: install.then(|| document("install")),
                deploy_config: config.then(|| document("config")),
                initial_deployment: initial,
                ..added()
            };
            let run = DeployRunRequested { run_id: run, phases, inputs };
            AddSubcloud { subcloud, run, claimed_by: None }.decide(state, &FACTS)
        }
        Act::Abandon => {
            let SubcloudAdded { id, name, region, .. } = added();
            let abandoned = CreationAbandoned { id, name, region, reason: "stale".to_owned() };
            AbandonCreation { abandoned }.decide(state, &FACTS)
        }
        Act::Manage { force, migrate } => ManageSubcloud { force, migrate, details }.decide(state, &FACTS),
        Act::Unmanage { migrate } => UnmanageSubcloud { migrate, details }.decide(state, &FACTS),
        Act::Migrate => MarkRehomePending { details }.decide(state, &FACTS),
        Act::Change { to, managed, force } => {
            let management = managed.map(|managed| if managed { M::Managed } else { M::Unmanaged });
            ChangeDeployStatus { to, management, force }.decide(state, &FACTS)
        }
        Act::Update { group } => {
            let details = Details { group_id: Some(group), ..details };
            UpdateSubcloud { details }.decide(state, &FACTS)
        }
        Act::Rename { to } => {
            let to = Name::parse(&format!("name{to}")).unwrap();
            RenameSubcloud { to, reserved_at: FACTS.now }.decide(state, &FACTS)
        }
        Act::Delete => DeleteSubcloud.decide(state, &FACTS),
        Act::Deploy { verb, run, install, config } => {
            let details = Details { install: install.then(|| document("install")), ..details };
            let deploy_config = config.then(|| document("config"));
            DeploySubcloud { run_id: run, details, deploy_config, ..deploy(verb) }.decide(state, &FACTS)
        }
        Act::Redeploy { run, install, config } => {
            let details = Details { install: install.then(|| document("install")), ..details };
            let deploy_config = config.then(|| document("config"));
            RedeploySubcloud { details, deploy_config, ..redeploy(run) }.decide(state, &FACTS)
        }
        Act::Prestage { run } => prestage(run).decide(state, &FACTS),
        Act::Reconfigure { run, net: to } => reconfigure(run, net(to)).decide(state, &FACTS),
        Act::TakeOver { run } => {
            MigrateSubcloud { run_id: run, sysadmin_password: None }.decide(state, &FACTS)
        }
        Act::CompleteDeployment => CompleteDeployment.decide(state, &FACTS),
        Act::Abort => AbortDeployment.decide(state, &FACTS),
        Act::Availability { online } => {
            let to = if online { Availability::Online } else { Availability::Offline };
            ReportAvailability { to }.decide(state, &FACTS)
        }
        Act::Report { endpoint, status, seen } => {
            ReportEndpoint { endpoint, status, seen }.decide(state, &FACTS)
        }
        Act::Claim { run } => ClaimRun { run_id: run, worker: "worker".to_owned() }.decide(state, &FACTS),
        Act::Start { run, phase } => StartPhase { run_id: run, phase }.decide(state, &FACTS),
        Act::Play { run, phase } => StartPlaybook { run_id: run, phase }.decide(state, &FACTS),
        Act::Complete { run, phase } => CompletePhase { run_id: run, phase }.decide(state, &FACTS),
        Act::Fail { run, phase, started } => {
            FailPhase { run_id: run, phase, started, error: "failed".to_owned() }.decide(state, &FACTS)
        }
        Act::AbortPhase { run, phase } => AbortPhase { run_id: run, phase }.decide(state, &FACTS),
        Act::Step { run, phase } => {
            RecordStep { run_id: run, phase, step: "step".to_owned(), outcome: StepOutcome::Done }
                .decide(state, &FACTS)
        }
        Act::Lose { run, worker_lost } => {
            let because = if worker_lost { LostBecause::WorkerLost } else { LostBecause::NoWorker };
            LoseRun { run_id: run, because }.decide(state, &FACTS)
        }
    }
}

/// Folds the events one by one; each must follow from the state it was told to.
fn follow(mut state: Option<Subcloud>, events: &[E], act: &Act) -> Result<Option<Subcloud>, TestCaseError> {
    for event in events {
        if let Some(before) = &state {
            prop_assert!(follows(before, event), "{:?} after {:?} on {:?}", event, act, before);
        }
        let after = Subcloud::evolve(state.clone(), event);
        prop_assert!(after.is_ok(), "{:?} after {:?} on {:?}", event, act, state);
        state = after.ok();
    }
    Ok(state)
}

/// Whether the event tells a change of this state, and one that may be.
fn follows(state: &Subcloud, event: &E) -> bool {
    let known =
        |endpoint: &Endpoint| state.endpoints.get(endpoint).is_some_and(|held| *held != SyncStatus::Unknown);
    let run = |id: Uuid| state.run.as_ref().is_some_and(|run| run.id == id);
    match event {
        E::DeployStatusChanged(changed) => {
            let elsewhere = matches!(changed.to, S::Secondary | S::RehomePending);
            changed.from == state.deploy
                && (changed.from != changed.to || changed.error.is_some())
                && changed.run_id.is_none_or(run)
                && !(elsewhere && state.management == M::Managed)
        }
        E::SyncStatusUnknown(unknown) => !unknown.endpoints.is_empty() && unknown.endpoints.iter().all(known),
        E::SyncStatusChanged(changed) => {
            let as_held = state.endpoints.get(&changed.endpoint) == Some(&changed.from);
            as_held && changed.from != changed.to && changed.to != SyncStatus::Unknown
        }
        E::AvailabilityChanged(changed) => changed.from == state.availability && changed.from != changed.to,
        E::SubcloudManaged(_) => state.management == M::Unmanaged,
        E::SubcloudUnmanaged(_) => state.management == M::Managed,
        E::SubcloudRenamed(renamed) => renamed.from == state.name && renamed.from != renamed.to,
        E::GroupMoved(moved) => moved.from == state.group_id && moved.from != moved.to,
        E::SoftwareVersionChanged(changed) => changed.from == state.software_version,
        E::DeployRunRequested(_) => state.run.is_none(),
        E::DeployRunClaimed(claimed) => {
            run(claimed.run_id) && state.run.as_ref().is_some_and(|run| run.worker.is_none())
        }
        E::PrestageRequested(asked) => run(asked.run_id),
        E::NetworkReconfigurationRequested(asked) => run(asked.run_id),
        E::NetworkUpdated(updated) => updated.network != state.network,
        E::DeployAbortRequested(abort) => {
            run(abort.run_id) && state.run.as_ref().is_some_and(|run| !run.abort_requested)
        }
        E::DeployStepRecorded(step) => run(step.run_id),
        E::DeployRunFinished(finished) => run(finished.run_id),
        E::SubcloudAdded(_) | E::CreationAbandoned(_) => false,
        _ => true,
    }
}

fn agree(state: Option<&Subcloud>, model: &Model, act: &Act) -> Result<(), TestCaseError> {
    let Some(state) = state else {
        prop_assert_eq!(model.life, Life::Unborn);
        return Ok(());
    };
    prop_assert_eq!(state.deleted, model.life == Life::Gone, "{:?}", act);
    let run = state.run.as_ref().map(|run| ModelRun {
        id: run.id,
        todo: run.phases.clone(),
        claimed: run.worker.is_some(),
        aborting: run.abort_requested,
        net: run.task.as_ref().and_then(|task| match task {
            Task::Network(task) => Some(number(&task.addresses.network)),
            _ => None,
        }),
    });
    let told = Model {
        managed: state.management == M::Managed,
        online: state.availability == Availability::Online,
        deploy: state.deploy,
        endpoints: state.endpoints.clone(),
        run,
        group: state.group_id,
        net: number(&state.network),
        rehome: state.rehome.is_some(),
        initial: state.initial_deployment,
        install: state.install.is_some(),
        config: state.deploy_config.is_some(),
        ..model.clone()
    };
    prop_assert_eq!(&told, model, "{:?}", act);
    if model.life == Life::Alive {
        prop_assert_eq!(state.name.as_ref(), format!("name{}", model.name));
    }
    if state.deploy == S::Secondary {
        prop_assert_eq!(state.availability, Availability::Offline);
    }
    Ok(())
}

/// One terminal event for each run but the active one.
fn runs_end_once(events: &[E], active: Option<Uuid>) -> Result<(), TestCaseError> {
    let mut open: HashMap<Uuid, bool> = HashMap::new();
    for event in events {
        match event {
            E::DeployRunRequested(requested) => {
                prop_assert!(open.insert(requested.run_id, true).is_none(), "requested twice");
                prop_assert_eq!(open.values().filter(|open| **open).count(), 1, "two active runs");
            }
            E::DeployRunFinished(finished) => {
                prop_assert_eq!(open.insert(finished.run_id, false), Some(true), "{:?}", finished);
                let explained = matches!(finished.outcome, RunOutcome::Failed | RunOutcome::Lost);
                prop_assert!(!explained || finished.error.is_some(), "{:?}", finished);
            }
            _ => {}
        }
    }
    let still_open: Vec<_> = open.into_iter().filter_map(|(run, open)| open.then_some(run)).collect();
    prop_assert_eq!(still_open, active.into_iter().collect::<Vec<_>>());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn any_history_agrees_with_the_model(history in prop::collection::vec(drawn(), 1..400)) {
        let mut told = History::new();
        for drawn in &history {
            told.tell(drawn)?;
        }
        let refolded = told.events.iter().try_fold(None, |state, event| Subcloud::evolve(state, event).map(Some));
        prop_assert_eq!(refolded.as_ref().ok(), Some(&told.state));
        prop_assert_eq!(&stored(&told.events), &told.state);
        let revision = told.state.as_ref().map(|state| state.revision);
        prop_assert_eq!(revision, (told.events.len() as u64).checked_sub(1));
        let active = told.state.as_ref().and_then(|state| state.run.as_ref()).map(|run| run.id);
        runs_end_once(&told.events, active)?;
        if let Some(state) = &told.state {
            let text = serde_json::to_string(state).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Subcloud>(&text).unwrap(), state);
        }
    }
}
