//! Online and offline (jobs.md §3.3), and what `secondary` makes of it (M-20).

use dcm_domain::subcloud::SubcloudDeleted;
use dcm_domain::subcloud::command::{ChangeDeployStatus, DeleteSubcloud, ReportAvailability};
use dcm_domain::value::{Availability, DeployStatus as S, Endpoint, ManagementState as M};

use crate::samples::*;

const ONLINE: ReportAvailability = ReportAvailability { to: Availability::Online };
const OFFLINE: ReportAvailability = ReportAvailability { to: Availability::Offline };

#[test]
fn jb_094_coming_online_leaves_the_endpoints_as_they_are() {
    subcloud(S::Complete).and([managed(true)]).when(ONLINE).then([online()]);
}

#[test]
fn jb_095_coming_online_is_the_same_unmanaged() {
    subcloud(S::Complete).when(ONLINE).then([online()]);
}

#[test]
fn jb_098_going_offline_forgets_every_endpoint_in_the_same_append() {
    in_state(M::Managed, S::Complete, Availability::Online)
        .when(OFFLINE)
        .then([offline(), unknown(&Endpoint::DEFAULT)])
        .when(OFFLINE)
        .then_nothing();
}

#[test]
fn going_offline_with_nothing_known_changes_availability_alone() {
    in_state(M::Unmanaged, S::Complete, Availability::Online).when(OFFLINE).then([offline()]);
}

#[test]
fn jb_096_found_as_it_is_it_is_no_news() {
    subcloud(S::Complete).when(OFFLINE).then_nothing();
    subcloud(S::Complete).and([online()]).when(ONLINE).then_nothing();
}

#[test]
fn a_subcloud_that_becomes_secondary_while_online_goes_offline_and_can_be_deleted() {
    in_state(M::Unmanaged, S::Complete, Availability::Online)
        .when(ChangeDeployStatus::mark_secondary())
        .then([moved(S::Complete, S::Secondary), offline()])
        .when(DeleteSubcloud)
        .then([SubcloudDeleted { name: name("subcloud1") }.into()]);
}

#[test]
fn a_late_online_does_not_revive_a_secondary() {
    subcloud(S::Secondary).when(ONLINE).then_nothing().when(DeleteSubcloud).then_accepted();
}

#[test]
fn a_rehome_pending_subcloud_goes_on_and_off_line() {
    subcloud(S::RehomePending).when(ONLINE).then([online()]).when(OFFLINE).then([offline()]);
}
