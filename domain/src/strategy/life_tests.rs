//! What becomes of a strategy, by the cases of fleet.md §16.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use uuid::Uuid;

use super::command::{
    AbortSteps, AbortStrategy, ApplyStrategy, ClaimStrategy, DeleteStrategy, EndUnclaimed, ImportStrategy,
    RemoveStrategy,
};
use super::samples::*;
use super::*;
use crate::aggregate::Aggregate;
use crate::value::{Name, Timestamp};

const ANY: Option<StrategyType> = None;
const MINUTE: i64 = 60_000_000;

/// Two steps, `initial`.
fn initial() -> SwUpdateStrategy {
    after(None, &create(patch(), vec![subcloud(1), subcloud(2)])).unwrap()
}

fn applying() -> SwUpdateStrategy {
    after(Some(&initial()), &ApplyStrategy { kind: ANY }).unwrap()
}

fn state_of(state: &SwUpdateStrategy) -> StrategyState {
    state.current.as_ref().unwrap().state
}

fn steps_of(state: &SwUpdateStrategy) -> Vec<&str> {
    state.current.as_ref().unwrap().steps.iter().map(|step| step.state.as_str()).collect()
}

/// One step of it changed.
fn step(state: SwUpdateStrategy, id: i64, to: &str) -> SwUpdateStrategy {
    let changed = StepsChanged {
        steps: vec![id],
        stage: 2,
        state: StepState::new(to),
        details: String::new(),
        started_at: Some(now()),
        finished_at: None,
        at: now(),
    };
    SwUpdateStrategy::evolve(Some(state), &changed.into()).unwrap()
}

fn due(state: &SwUpdateStrategy, after: i64) -> Option<Next> {
    let moment = Timestamp::from_micros(now().micros() + after);
    next(state, Watch { since: now(), now: moment, claim_within: MINUTE })
}

#[test]
fn fl_122_125_jb_151_153_154_155_what_is_allowed_in_which_state() {
    let wrong = |state| Err(Rejection::WrongState { kind: StrategyType::Patch, state });
    let first = initial();
    assert_eq!(after(Some(&first), &AbortStrategy { kind: ANY }), wrong(StrategyState::Initial));
    let applying = applying();
    assert_eq!(state_of(&applying), StrategyState::Applying);
    assert_eq!(applying.current.as_ref().unwrap().updated_at, Some(now()));
    assert_eq!(after(Some(&applying), &ApplyStrategy { kind: ANY }), wrong(StrategyState::Applying));
    assert_eq!(after(Some(&applying), &DeleteStrategy { kind: ANY }), wrong(StrategyState::Applying));
    let aborted = after(Some(&applying), &AbortStrategy { kind: ANY }).unwrap();
    assert_eq!(state_of(&aborted), StrategyState::AbortRequested);
    assert_eq!(after(Some(&aborted), &AbortStrategy { kind: ANY }), wrong(StrategyState::AbortRequested));
    for deletable in
        [StrategyState::Initial, StrategyState::Complete, StrategyState::Failed, StrategyState::Aborted]
    {
        let mut state = first.clone();
        state.current.as_mut().unwrap().state = deletable;
        let deleting = after(Some(&state), &DeleteStrategy { kind: ANY }).unwrap();
        assert_eq!(state_of(&deleting), StrategyState::Deleting);
        let its_own = DeleteStrategy { kind: Some(StrategyType::Patch) };
        assert_eq!(state_of(&after(Some(&state), &its_own).unwrap()), StrategyState::Deleting);
        assert_eq!(
            after(Some(&deleting), &DeleteStrategy { kind: ANY }),
            wrong(StrategyState::Deleting),
            "only once"
        );
    }
    let mut complete = first;
    complete.current.as_mut().unwrap().state = StrategyState::Complete;
    assert_eq!(after(Some(&complete), &ApplyStrategy { kind: ANY }), wrong(StrategyState::Complete));
    assert_eq!(after(Some(&complete), &AbortStrategy { kind: ANY }), wrong(StrategyState::Complete));
}

#[test]
fn fl_126_jb_152_another_type_is_not_meant() {
    let (patch, upgrade) = (Some(StrategyType::Patch), Some(StrategyType::Upgrade));
    let state = initial();
    assert_eq!(after(Some(&state), &ApplyStrategy { kind: upgrade }), Err(Rejection::NotFound));
    assert_eq!(after(Some(&state), &AbortStrategy { kind: upgrade }), Err(Rejection::NotFound));
    assert_eq!(after(Some(&state), &DeleteStrategy { kind: upgrade }), Err(Rejection::NotFound));
    assert!(after(Some(&state), &ApplyStrategy { kind: patch }).is_ok());
    assert_eq!(after(None, &ApplyStrategy { kind: ANY }), Err(Rejection::NotFound));
}

#[test]
fn fl_132_an_abort_before_any_start_ends_it() {
    let aborted = after(Some(&applying()), &AbortStrategy { kind: ANY }).unwrap();
    let Some(Next::AbortSteps(command)) = due(&aborted, 0) else { panic!("the abort is due at once") };
    let ended = after(Some(&aborted), &command).unwrap();
    assert_eq!((state_of(&ended), steps_of(&ended)), (StrategyState::Aborted, vec!["aborted"; 2]));
    assert!(ended.current.as_ref().unwrap().steps.iter().all(|step| step.finished_at == Some(now())));
    assert!(due(&ended, MINUTE).is_none());
}

#[test]
fn an_abort_lets_started_steps_run_to_their_end() {
    let started = step(applying(), 1, "updating patches");
    let claimed = after(Some(&started), &ClaimStrategy { id: 1, worker: "w".to_owned() }).unwrap();
    let aborted = after(Some(&claimed), &AbortStrategy { kind: ANY }).unwrap();
    let aborting = after(Some(&aborted), &AbortSteps { id: 1 }).unwrap();
    assert_eq!(state_of(&aborting), StrategyState::Aborting);
    assert_eq!(steps_of(&aborting), ["updating patches", "aborted"]);
    assert!(due(&aborting, 2 * MINUTE).is_none(), "its worker sees to it");
    assert!(matches!(after(Some(&aborting), &AbortSteps { id: 1 }), Err(Rejection::WrongState { .. })));
}

#[test]
fn an_abort_of_what_has_failed_ends_failed() {
    let aborted = after(Some(&step(applying(), 1, "failed")), &AbortStrategy { kind: ANY }).unwrap();
    assert_eq!(state_of(&after(Some(&aborted), &AbortSteps { id: 1 }).unwrap()), StrategyState::Failed);
}

#[test]
fn without_a_worker_it_fails_in_time() {
    let state = applying();
    assert!(due(&state, MINUTE - 1).is_none());
    let Some(Next::EndUnclaimed(command)) = due(&state, MINUTE) else { panic!("a minute is over") };
    let ended = after(Some(&step(state, 1, "complete")), &command).unwrap();
    let strategy = ended.current.as_ref().unwrap();
    assert_eq!((strategy.state, steps_of(&ended)), (StrategyState::Failed, vec!["complete", "failed"]));
    assert_eq!(strategy.steps[1].details, "no worker for patch");
    assert_eq!((strategy.steps[1].stage, strategy.steps[1].finished_at), (3, Some(now())));
    assert!(after(Some(&ended), &EndUnclaimed { id: 1 }).is_err(), "once");
}

#[test]
fn a_watcher_that_starts_late_gives_workers_their_time() {
    let late = Timestamp::from_micros(now().micros() + 10 * MINUTE);
    let watch = |waited| Watch {
        since: late,
        now: Timestamp::from_micros(late.micros() + waited),
        claim_within: MINUTE,
    };
    assert!(next(&applying(), watch(MINUTE - 1)).is_none());
    assert!(next(&applying(), watch(MINUTE)).is_some());
}

#[test]
fn one_worker_takes_it() {
    let claim = |id| ClaimStrategy { id, worker: "w".to_owned() };
    assert!(matches!(after(Some(&initial()), &claim(1)), Err(Rejection::WrongState { .. })));
    assert_eq!(after(Some(&applying()), &claim(2)), Err(Rejection::NotFound));
    let claimed = after(Some(&applying()), &claim(1)).unwrap();
    assert_eq!(after(Some(&claimed), &claim(1)), Err(Rejection::Claimed));
    assert_eq!(after(Some(&claimed), &EndUnclaimed { id: 1 }), Err(Rejection::Claimed));
    assert!(due(&claimed, 2 * MINUTE).is_none());
}

#[test]
fn fl_134_what_is_deleting_goes_and_its_ids_are_not_used_again() {
    let started = step(initial(), 1, "failed");
    let deleting = after(Some(&started), &DeleteStrategy { kind: ANY }).unwrap();
    let Some(Next::Remove(command)) = due(&deleting, 0) else { panic!("the removal is due at once") };
    let events = crate::aggregate::Command::decide(&command, Some(&deleting), &facts()).unwrap();
    let [StrategyEvent::StrategyDeleted(deleted)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(deleted.skipped.len(), 1, "VIM strategies are left, and that is said");
    let gone = after(Some(&deleting), &command).unwrap();
    assert_eq!(gone.current, None);
    assert!(due(&gone, MINUTE).is_none());
    assert_eq!(after(Some(&gone), &RemoveStrategy { id: 1 }), Err(Rejection::NotFound));
    let again = after(Some(&gone), &create(patch(), vec![subcloud(1)])).unwrap();
    let strategy = again.current.as_ref().unwrap();
    assert_eq!((strategy.id, strategy.steps[0].id), (2, 3));
}

#[test]
fn jb_158_what_is_deleting_without_steps_goes_at_once() {
    let deleting = after(None, &create(patch(), Vec::new())).unwrap();
    assert_eq!(state_of(&deleting), StrategyState::Deleting);
    let Some(Next::Remove(command)) = due(&deleting, 0) else { panic!("the removal is due at once") };
    assert_eq!(after(Some(&deleting), &command).unwrap().current, None);
}

#[test]
fn an_old_row_is_kept_in_any_state_and_taken_over_once() {
    for state in StrategyState::ALL {
        let strategy = StrategyImported {
            uuid: Uuid::from_u128(7),
            id: 12,
            kind: StrategyType::Upgrade,
            apply_type: None,
            max_parallel_subclouds: 500,
            stop_on_failure: true,
            state: *state,
            extra_args: json!(null),
            sysadmin_password: None,
            created_at: Some(now()),
            updated_at: None,
            at: now(),
        };
        let old = ImportedStep {
            id: 40,
            subcloud: Uuid::from_u128(1),
            subcloud_id: 1,
            name: Name::parse("subcloud1").unwrap(),
            stage: 2,
            state: StepState::new("migrating data"),
            details: "half".to_owned(),
            started_at: Some(now()),
            finished_at: None,
            created_at: Some(now()),
            updated_at: Some(now()),
        };
        let import = ImportStrategy { strategy, steps: vec![old] };
        let taken = after(None, &import).unwrap();
        assert_eq!((state_of(&taken), steps_of(&taken)), (*state, vec!["migrating data"]));
        assert_eq!((taken.next_id(), taken.next_step_id()), (13, 41));
        assert_eq!(after(Some(&taken), &import).unwrap(), taken, "the second time changes nothing");
        let ended = due(&taken, MINUTE);
        assert_eq!(ended.is_some(), state.is_under_way() || *state == StrategyState::Deleting, "{state}");
    }
}

#[test]
fn events_of_another_strategy_cannot_follow() {
    let applied = StrategyApplied { id: 9, at: now() }.into();
    assert!(SwUpdateStrategy::evolve(Some(initial()), &applied).is_err());
    assert!(SwUpdateStrategy::evolve(None, &StepsPlanned { steps: Vec::new() }.into()).is_err());
}
