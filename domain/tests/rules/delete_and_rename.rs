//! The guards of delete and rename (subclouds.md §6.10, §6.4; decisions.md, "Delete while a run is active").

use dcm_domain::aggregate::{Aggregate, Command};
use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{
    CreationAbandoned, Rejection, Subcloud, SubcloudDeleted, SubcloudEvent, SubcloudRenamed,
};
use dcm_domain::value::{
    Availability, DeployStatus as S, Endpoint, ManagementState as M, Name, Phase, SyncStatus, Timestamp,
};

use crate::kit::{FACTS, given};
use crate::samples::*;

fn rename(to: &str) -> RenameSubcloud {
    RenameSubcloud { to: Name::parse_rename(to).unwrap(), reserved_at: FACTS.now }
}

#[test]
fn a_rename_that_comes_long_after_its_reservation_is_not_made() {
    let reserved = |seconds: i64| RenameSubcloud {
        reserved_at: Timestamp::from_micros(FACTS.now.micros() - seconds * 1_000_000),
        ..rename("another")
    };
    in_state(M::Unmanaged, S::Complete, Availability::Offline)
        .when(reserved(31))
        .then_rejected("reservation-stale")
        .when(reserved(30))
        .then([SubcloudRenamed { from: name("subcloud1"), to: name("another") }.into()]);
}

#[test]
fn jb_026_an_unmanaged_offline_subcloud_is_deleted_whatever_its_deploy_status() {
    for status in S::ALL {
        subcloud(*status).when(DeleteSubcloud).then([SubcloudDeleted { name: name("subcloud1") }.into()]);
    }
}

#[test]
fn sc_215_a_managed_subcloud_is_not_deleted() {
    in_state(M::Managed, S::Complete, Availability::Offline)
        .when(DeleteSubcloud)
        .then_rejected("delete-managed")
        .when(DeleteSubcloud)
        .then_refused_saying("must be unmanaged to perform this operation");
}

#[test]
fn sc_216_an_online_subcloud_is_not_deleted() {
    in_state(M::Unmanaged, S::Complete, Availability::Online)
        .when(DeleteSubcloud)
        .then_rejected("delete-online")
        .when(DeleteSubcloud)
        .then_refused_saying("must be powered down");
}

#[test]
fn managed_is_looked_at_before_online_and_online_before_the_run() {
    let busy = subcloud(S::Installing).and([requested(RUN, &[Phase::Install]).into(), online()]);
    busy.clone().when(DeleteSubcloud).then_rejected("delete-online");
    busy.and([managed(true)]).when(DeleteSubcloud).then_rejected("delete-managed");
}

#[test]
fn a_subcloud_with_an_active_run_is_not_deleted() {
    let given = running(&[Phase::Install], S::Installing);
    given
        .when(DeleteSubcloud)
        .then_rejected("run-active")
        .when(DeleteSubcloud)
        .then_refused_saying("deployment in progress");
}

#[test]
fn a_subcloud_whose_run_was_lost_is_deleted() {
    running(&[Phase::Install], S::Installing)
        .after(LoseRun { run_id: RUN, because: LostBecause::WorkerLost })
        .when(DeleteSubcloud)
        .then_accepted();
}

/// `command` finds no subcloud, neither before the first event nor after the last.
#[track_caller]
fn finds_none<C: Command<Subcloud, Rejection = Rejection>>(command: &C) {
    let deleted = subcloud(S::Complete).after(DeleteSubcloud);
    for state in [None, Some(deleted.state())] {
        assert_eq!(command.decide(state, &FACTS), Err(Rejection::NotFound), "{}", C::NAME);
    }
}

#[test]
fn sc_217_a_subcloud_that_is_not_there_takes_no_command() {
    finds_none(&DeleteSubcloud);
    finds_none(&rename("other"));
    finds_none(&ManageSubcloud::default());
    finds_none(&UnmanageSubcloud::default());
    finds_none(&MarkRehomePending::default());
    finds_none(&UpdateSubcloud::default());
    finds_none(&ChangeDeployStatus::mark_secondary());
    finds_none(&deploy(DeployVerb::Install));
    finds_none(&CompleteDeployment);
    finds_none(&AbortDeployment);
    finds_none(&ReportAvailability { to: Availability::Online });
    finds_none(&ReportEndpoint { endpoint: Endpoint::Load, status: SyncStatus::InSync, seen: None });
    finds_none(&ClaimRun { run_id: RUN, worker: "w".to_owned() });
    finds_none(&StartPhase { run_id: RUN, phase: Phase::Create });
    finds_none(&StartPlaybook { run_id: RUN, phase: Phase::Create });
    finds_none(&CompletePhase { run_id: RUN, phase: Phase::Create });
    finds_none(&AbortPhase { run_id: RUN, phase: Phase::Create });
    finds_none(&LoseRun { run_id: RUN, because: LostBecause::NoWorker });
}

#[test]
fn a_deleted_subcloud_is_not_added_again_and_takes_no_event() {
    let deleted = subcloud(S::Complete).after(DeleteSubcloud);
    deleted.clone().when(add(&[Phase::Create])).then_rejected("subcloud-exists");
    assert!(Subcloud::evolve(Some(deleted.state().clone()), &online()).is_err());
}

#[test]
fn an_abandoned_creation_can_no_longer_begin() {
    let abandon = AbandonCreation {
        abandoned: CreationAbandoned {
            id: 1,
            name: name("subcloud1"),
            region: added().region,
            reason: "the creation was not finished in time".to_owned(),
        },
    };
    given::<Subcloud>([])
        .when(abandon.clone())
        .then([abandon.abandoned.clone().into()])
        .when(add(&[Phase::Create]))
        .then_rejected("subcloud-exists");
    subcloud(S::NotDeployed).when(abandon).then_rejected("subcloud-exists");
}

#[test]
fn a_stream_begins_with_an_addition_or_its_abandonment_alone() {
    for event in [online(), managed(true), claimed(), moved(S::NotDeployed, S::Creating)] {
        let refused = Subcloud::evolve(None, &event).unwrap_err();
        assert_eq!(refused.aggregate, "subcloud");
        assert!(!refused.event.is_empty());
    }
    let twice = Subcloud::evolve(Some(subcloud(S::Complete).state().clone()), &SubcloudEvent::from(added()));
    assert!(twice.is_err());
}

#[test]
fn sc_169_a_rename_changes_the_name_and_not_the_region() {
    let after = subcloud(S::Complete).when(rename("newname.example")).then([SubcloudRenamed {
        from: name("subcloud1"),
        to: name("newname.example"),
    }
    .into()]);
    assert_eq!(after.state().name, name("newname.example"));
    assert_eq!(after.state().region, added().region);
}

#[test]
fn sc_171_a_rename_to_its_own_name_is_refused() {
    subcloud(S::Complete)
        .when(rename("subcloud1"))
        .then_rejected("same-name")
        .when(rename("subcloud1"))
        .then_refused_saying("is the same as");
}

#[test]
fn sc_172_a_rename_needs_it_unmanaged_and_complete_or_prestaged() {
    for status in S::ALL {
        let then = subcloud(*status).when(rename("other"));
        match status {
            S::Complete | S::PrestageComplete => drop(then.then_accepted()),
            _ => drop(then.then_rejected("not-renamable")),
        }
        in_state(M::Managed, *status, Availability::Online)
            .when(rename("other"))
            .then_rejected("not-renamable")
            .when(rename("other"))
            .then_refused_saying("must be unmanaged and in a valid deploy state");
    }
}

#[test]
fn the_deploy_state_is_looked_at_before_the_name() {
    subcloud(S::InstallFailed).when(rename("subcloud1")).then_rejected("not-renamable");
}
