//! The change this project began with, as domain rules: point 5 of its test plan, and what the other points need of
//! the domain (subclouds.md §9.2).

use dcm_domain::subcloud::RehomeDataUpdated;
use dcm_domain::subcloud::Subcloud;
use dcm_domain::subcloud::command::{
    ChangeDeployStatus, Details, ManageSubcloud, UnmanageSubcloud, UpdateSubcloud,
};
use dcm_domain::value::{Availability, DeployStatus as S, Endpoint, ManagementState as M};

use crate::kit::Given;
use crate::samples::*;

fn change(to: S, management: Option<M>) -> ChangeDeployStatus {
    ChangeDeployStatus { to, management, force: false }
}

fn managed_complete() -> Given<Subcloud> {
    in_state(M::Managed, S::Complete, Availability::Online)
}

fn pending_online() -> Given<Subcloud> {
    in_state(M::Unmanaged, S::RehomePending, Availability::Online)
}

#[test]
fn secondary_is_possible_together_with_unmanaging() {
    managed_complete().when(change(S::Secondary, Some(M::Unmanaged))).then([
        unmanaged(false),
        moved(S::Complete, S::Secondary),
        offline(),
        unknown(&Endpoint::DEFAULT),
    ]);
}

#[test]
fn rehome_pending_is_possible_together_with_unmanaging() {
    managed_complete().when(change(S::RehomePending, Some(M::Unmanaged))).then([
        unmanaged(true),
        moved(S::Complete, S::RehomePending),
        unknown(&Endpoint::DEFAULT),
    ]);
}

#[test]
fn no_deploy_status_is_possible_on_a_managed_subcloud_that_stays_managed() {
    for to in S::ALL {
        let then = managed_complete().when(change(*to, None)).then_rejected("deploy-status-needs-unmanaged");
        then.when(change(*to, None)).then_refused_saying("must also be unmanaged");
    }
}

#[test]
fn jb_041_a_managed_complete_subcloud_cannot_become_rehome_pending_without_unmanaging() {
    managed_complete().when(change(S::RehomePending, None)).then_rejected("deploy-status-needs-unmanaged");
}

#[test]
fn secondary_is_possible_when_already_unmanaged() {
    subcloud(S::Complete).when(ChangeDeployStatus::mark_secondary()).then([moved(S::Complete, S::Secondary)]);
}

#[test]
fn secondary_is_possible_from_rehome_pending() {
    subcloud(S::RehomePending)
        .when(ChangeDeployStatus::mark_secondary())
        .then([moved(S::RehomePending, S::Secondary)]);
}

#[test]
fn managing_a_rehome_pending_subcloud_with_any_status_but_complete_is_refused() {
    for to in S::ALL.iter().copied().filter(|to| *to != S::Complete) {
        pending_online().when(change(to, Some(M::Managed))).then_rejected("not-manageable");
        let forced = ChangeDeployStatus { to, management: Some(M::Managed), force: true };
        pending_online()
            .when(forced.clone())
            .then_rejected("manage-with-deploy-status")
            .when(forced)
            .then_refused_saying("while also updating its deploy_status");
    }
}

#[test]
fn managing_a_complete_subcloud_with_any_status_but_complete_is_refused() {
    for to in S::ALL.iter().copied().filter(|to| *to != S::Complete) {
        in_state(M::Unmanaged, S::Complete, Availability::Online)
            .when(change(to, Some(M::Managed)))
            .then_rejected("manage-with-deploy-status");
    }
}

#[test]
fn managing_a_rehome_pending_subcloud_and_asking_for_complete_is_possible() {
    pending_online()
        .when(change(S::Complete, Some(M::Managed)))
        .then([managed(false), moved(S::RehomePending, S::Complete)]);
}

#[test]
fn jb_040_managing_a_rehome_pending_subcloud_gives_complete() {
    pending_online()
        .when(ManageSubcloud::default())
        .then([managed(false), moved(S::RehomePending, S::Complete)]);
}

#[test]
fn rehome_pending_is_possible_only_from_complete() {
    for from in S::ALL.iter().copied().filter(|from| *from != S::RehomePending) {
        let unmanaged = subcloud(from).when(change(S::RehomePending, None));
        let managed = in_state(M::Managed, from, Availability::Online)
            .when(change(S::RehomePending, Some(M::Unmanaged)));
        if from == S::Complete {
            unmanaged.then_accepted();
            managed.then_accepted();
        } else {
            unmanaged.then_rejected("impossible-deploy-status");
            managed.then_rejected("impossible-deploy-status");
        }
    }
}

#[test]
fn only_secondary_and_rehome_pending_can_be_asked_for_while_unmanaged() {
    for to in S::ALL {
        let then = subcloud(S::Complete).when(change(*to, None));
        match to {
            S::Secondary | S::RehomePending => drop(then.then_accepted()),
            _ => drop(then.then_rejected("impossible-deploy-status")),
        }
    }
}

#[test]
fn neither_status_is_possible_while_a_run_is_active() {
    let busy = || subcloud(S::Complete).and([requested(RUN, &[]).into()]);
    busy().when(change(S::Secondary, None)).then_rejected("run-active");
    busy().when(change(S::RehomePending, None)).then_rejected("run-active");
}

#[test]
fn asking_for_the_status_it_has_changes_nothing() {
    for status in [S::Secondary, S::RehomePending] {
        subcloud(status).when(change(status, None)).then_nothing();
    }
}

#[test]
fn unmanaging_without_migrate_keeps_dc_cert_for_cert_mon() {
    let after = managed_complete()
        .when(UnmanageSubcloud::default())
        .then([unmanaged(false), unknown(&all_but_dc_cert())]);
    assert_eq!(known(after.state()), [Endpoint::DcCert]);
}

#[test]
fn unmanaging_with_migrate_is_refused_unless_complete() {
    let migrate = UnmanageSubcloud { migrate: true, ..UnmanageSubcloud::default() };
    for from in S::ALL.iter().copied().filter(|from| !matches!(from, S::Complete | S::RehomePending)) {
        let refused = in_state(M::Managed, from, Availability::Online).when(migrate.clone());
        let refused = refused.then_rejected("migrate-not-complete");
        let refused =
            refused.when(migrate.clone()).then_refused_saying("can only be updated to 'rehome-pending'");
        refused.when(migrate.clone()).then_refused_saying("current deploy status is 'complete'");
    }
}

#[test]
fn rehome_data_is_replaced_by_an_update() {
    let details = Details { rehome: Some(document("rehome")), ..Details::default() };
    subcloud(S::Complete)
        .when(UpdateSubcloud { details: details.clone() })
        .then([RehomeDataUpdated { rehome: document("rehome") }.into()])
        .when(UpdateSubcloud { details })
        .then_nothing();
}
