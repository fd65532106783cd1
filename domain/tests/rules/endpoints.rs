//! Endpoint reports: which are applied, which are ignored without an error (subclouds.md §10.2; jobs.md §3.2; design
//! §4, reports that arrive late; decisions.md on `rehome-pending`).

use dcm_domain::subcloud::command::{
    Details, ManageSubcloud, ReportEndpoint, UnmanageSubcloud, UpdateSubcloud,
};
use dcm_domain::subcloud::{Subcloud, SyncStatusChanged};
use dcm_domain::value::{Availability, DeployStatus as S, Endpoint, ManagementState as M, SyncStatus};

use crate::kit::Given;
use crate::samples::*;

fn report(endpoint: Endpoint, status: SyncStatus) -> ReportEndpoint {
    ReportEndpoint { endpoint, status, seen: None }
}

fn report_all(mut given: Given<Subcloud>, status: SyncStatus) -> Given<Subcloud> {
    for endpoint in Endpoint::DEFAULT {
        given = given.after(report(endpoint, status));
    }
    given
}

fn with_status(given: &Given<Subcloud>, status: SyncStatus) -> Vec<Endpoint> {
    let state = given.state();
    state.endpoints.iter().filter(|(_, held)| **held == status).map(|(endpoint, _)| *endpoint).collect()
}

fn all_out_of_sync(availability: Availability, management: M) -> Given<Subcloud> {
    let given = in_state(M::Unmanaged, S::Complete, availability);
    let given = report_all(given, SyncStatus::OutOfSync);
    if management == M::Managed { given.and([managed(true)]) } else { given }
}

#[test]
fn jb_085_ac_088_out_of_sync_is_applied_offline_and_unmanaged() {
    let after = all_out_of_sync(Availability::Offline, M::Unmanaged);
    assert_eq!(with_status(&after, SyncStatus::OutOfSync), Endpoint::DEFAULT);
}

#[test]
fn jb_086_ac_088_in_sync_is_ignored_offline_and_unmanaged_for_dc_cert_too() {
    let after = report_all(all_out_of_sync(Availability::Offline, M::Unmanaged), SyncStatus::InSync);
    assert_eq!(with_status(&after, SyncStatus::OutOfSync), Endpoint::DEFAULT);
}

#[test]
fn jb_087_unknown_is_applied_offline_and_unmanaged() {
    let after = report_all(all_out_of_sync(Availability::Offline, M::Unmanaged), SyncStatus::Unknown);
    assert_eq!(with_status(&after, SyncStatus::Unknown), Endpoint::DEFAULT);
}

#[test]
fn jb_088_every_endpoint_but_dc_cert_is_applied_at_once() {
    let mut given = in_state(M::Unmanaged, S::Complete, Availability::Offline);
    for endpoint in all_but_dc_cert() {
        given = given.after(report(endpoint, SyncStatus::OutOfSync));
    }
    assert_eq!(with_status(&given, SyncStatus::OutOfSync), all_but_dc_cert());
    assert_eq!(with_status(&given, SyncStatus::Unknown), [Endpoint::DcCert]);
}

#[test]
fn jb_089_in_sync_is_ignored_online_and_unmanaged() {
    for endpoint in all_but_dc_cert() {
        all_out_of_sync(Availability::Online, M::Unmanaged)
            .when(report(endpoint, SyncStatus::InSync))
            .then_nothing();
    }
}

#[test]
fn jb_090_dc_cert_in_sync_is_applied_online_and_unmanaged() {
    in_state(M::Unmanaged, S::Complete, Availability::Online)
        .when(report(Endpoint::DcCert, SyncStatus::InSync))
        .then([SyncStatusChanged {
            endpoint: Endpoint::DcCert,
            from: SyncStatus::Unknown,
            to: SyncStatus::InSync,
        }
        .into()]);
}

#[test]
fn jb_091_in_sync_is_applied_online_and_managed() {
    let after = report_all(all_out_of_sync(Availability::Online, M::Managed), SyncStatus::InSync);
    assert_eq!(with_status(&after, SyncStatus::InSync), Endpoint::DEFAULT);
}

#[test]
fn in_sync_is_ignored_managed_but_offline() {
    let after = report_all(all_out_of_sync(Availability::Offline, M::Managed), SyncStatus::InSync);
    assert_eq!(with_status(&after, SyncStatus::InSync), []);
}

#[test]
fn jb_093_ac_089_every_report_but_unknown_is_ignored_while_secondary_or_rehome_pending() {
    for deploy in [S::Secondary, S::RehomePending] {
        for management in [M::Managed, M::Unmanaged] {
            let axes = if management == M::Managed { vec![managed(true)] } else { Vec::new() };
            let given = in_state(M::Unmanaged, deploy, Availability::Online).and(axes);
            for endpoint in Endpoint::DEFAULT {
                for status in [SyncStatus::InSync, SyncStatus::OutOfSync] {
                    given.clone().when(report(endpoint, status)).then_nothing();
                }
                given.clone().when(report(endpoint, SyncStatus::Unknown)).then_nothing();
            }
            let known = given.and(in_sync());
            known.when(report(Endpoint::Load, SyncStatus::Unknown)).then([unknown(&[Endpoint::Load])]);
        }
    }
}

#[test]
fn every_other_deploy_status_takes_reports() {
    for deploy in S::ALL.iter().copied().filter(|deploy| !matches!(deploy, S::Secondary | S::RehomePending)) {
        let after = report_all(
            in_state(M::Unmanaged, deploy, Availability::Online).and([managed(true)]),
            SyncStatus::InSync,
        );
        assert_eq!(with_status(&after, SyncStatus::InSync), Endpoint::DEFAULT, "{deploy}");
    }
}

#[test]
fn the_same_finding_again_is_no_news() {
    let given = in_state(M::Managed, S::Complete, Availability::Online);
    given.when(report(Endpoint::Load, SyncStatus::InSync)).then_nothing();
}

#[test]
fn an_endpoint_the_subcloud_does_not_have_is_ignored() {
    for endpoint in [Endpoint::Usm, Endpoint::IdentityOpenstack] {
        for status in SyncStatus::ALL {
            in_state(M::Managed, S::Complete, Availability::Online)
                .when(report(endpoint, *status))
                .then_nothing();
        }
    }
}

#[test]
fn a_finding_from_before_the_unmanaging_is_late() {
    let managed = in_state(M::Managed, S::Complete, Availability::Online).and([unknown(&[Endpoint::DcCert])]);
    let seen = Some(managed.state().revision);
    let late = ReportEndpoint { endpoint: Endpoint::DcCert, status: SyncStatus::InSync, seen };
    managed.clone().when(late).then_accepted();
    let unmanaged = managed.after(UnmanageSubcloud::default());
    for status in SyncStatus::ALL {
        unmanaged.clone().when(ReportEndpoint { status: *status, ..late }).then_nothing();
    }
    let fresh = ReportEndpoint { seen: Some(unmanaged.state().revision), ..late };
    unmanaged.when(fresh).then_accepted();
}

#[test]
fn a_finding_from_before_migrate_stays_late_after_it_is_managed_back() {
    let managed = in_state(M::Managed, S::Complete, Availability::Online);
    let seen = Some(managed.state().revision);
    managed
        .after(UnmanageSubcloud { migrate: true, ..UnmanageSubcloud::default() })
        .after(ManageSubcloud::default())
        .when(ReportEndpoint { endpoint: Endpoint::DcCert, status: SyncStatus::OutOfSync, seen })
        .then_nothing();
}

#[test]
fn a_change_of_anything_else_does_not_make_a_finding_late() {
    let managed = in_state(M::Managed, S::Complete, Availability::Online);
    let seen = Some(managed.state().revision);
    let details = Details { location: Some("shed".to_owned()), ..Details::default() };
    managed
        .after(UpdateSubcloud { details })
        .after(report(Endpoint::Load, SyncStatus::OutOfSync))
        .when(ReportEndpoint { endpoint: Endpoint::DcCert, status: SyncStatus::OutOfSync, seen })
        .then_accepted();
}

#[test]
fn an_unknown_reporter_revision_is_taken_as_current() {
    in_state(M::Managed, S::Complete, Availability::Online)
        .when(ReportEndpoint {
            endpoint: Endpoint::Load,
            status: SyncStatus::OutOfSync,
            seen: Some(u64::MAX),
        })
        .then_accepted();
}
