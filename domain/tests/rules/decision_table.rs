//! The decision table of subclouds.md §9.3, row by row, and the contract's cases that are rows of it.
//! Row 22 (`force` where it means nothing) is refused before a command is made: no command has such a field.

use dcm_domain::aggregate::Command;
use dcm_domain::subcloud::command::{
    Details, ManageSubcloud, MarkRehomePending, UnmanageSubcloud, UpdateSubcloud,
};
use dcm_domain::subcloud::{Rejection, Subcloud, SubcloudDescribed, SubcloudEvent};
use dcm_domain::value::Availability::{Offline, Online};
use dcm_domain::value::ManagementState::{Managed as M, Unmanaged as U};
use dcm_domain::value::{Availability, DeployStatus as S, Endpoint, ManagementState};

use crate::kit::{FACTS, fold};
use crate::samples::*;

/// What an E6 request asks of the axes.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Unmanage { migrate: bool },
    Manage { force: bool, migrate: bool },
    Migrate,
}

impl Ask {
    fn decide(self, state: &Subcloud) -> Result<Vec<SubcloudEvent>, Rejection> {
        let details = Details::default();
        match self {
            Self::Unmanage { migrate } => UnmanageSubcloud { migrate, details }.decide(Some(state), &FACTS),
            Self::Manage { force, migrate } => {
                ManageSubcloud { force, migrate, details }.decide(Some(state), &FACTS)
            }
            Self::Migrate => MarkRehomePending { details }.decide(Some(state), &FACTS),
        }
    }
}

const UNMANAGE: Ask = Ask::Unmanage { migrate: false };
const UNMANAGE_MIGRATE: Ask = Ask::Unmanage { migrate: true };
const MANAGE: Ask = Ask::Manage { force: false, migrate: false };
const MANAGE_MIGRATE: Ask = Ask::Manage { force: false, migrate: true };
const FORCE: Ask = Ask::Manage { force: true, migrate: false };
const MIGRATE: Ask = Ask::Migrate;

/// The axes and endpoints afterwards, or a part of the text that refuses.
type Outcome = Result<(ManagementState, S, usize), &'static str>;

const A: Outcome = Err("can only be updated to 'rehome-pending'");
const B: Outcome = Err("must be unmanaged for its deploy status");
const ALREADY_UNMANAGED: Outcome = Err("is already unmanaged");
const ALREADY_MANAGED: Outcome = Err("is already managed");
const NOT_MANAGEABLE: Outcome = Err("must be either");
const NOT_ONLINE: Outcome = Err("is not online");

/// Row, current axes, request, and how many endpoints are known afterwards (a managed start knows all eight).
type Row = (&'static str, ManagementState, S, Availability, Ask, Outcome);

const ROWS: &[Row] = &[
    ("1", M, S::Complete, Online, UNMANAGE, Ok((U, S::Complete, 1))),
    ("2", M, S::Complete, Online, UNMANAGE_MIGRATE, Ok((U, S::RehomePending, 0))),
    ("3", M, S::PrestageComplete, Online, UNMANAGE_MIGRATE, A),
    ("4", M, S::InstallFailed, Online, UNMANAGE_MIGRATE, A),
    ("5", M, S::InstallFailed, Online, MIGRATE, B),
    ("6", M, S::Complete, Online, MIGRATE, B),
    ("7", M, S::Complete, Online, MANAGE_MIGRATE, B),
    ("8", U, S::Complete, Offline, MIGRATE, Ok((U, S::RehomePending, 0))),
    ("9", U, S::Complete, Offline, UNMANAGE_MIGRATE, ALREADY_UNMANAGED),
    ("10", U, S::Complete, Online, MANAGE_MIGRATE, B),
    ("11", U, S::RehomePending, Offline, MIGRATE, Ok((U, S::RehomePending, 0))),
    ("12", U, S::RehomePending, Offline, UNMANAGE_MIGRATE, ALREADY_UNMANAGED),
    ("13", U, S::RehomePending, Online, MANAGE, Ok((M, S::Complete, 0))),
    ("14", U, S::RehomePending, Online, MANAGE_MIGRATE, Ok((M, S::Complete, 0))),
    ("15", U, S::RehomePending, Offline, MANAGE, NOT_ONLINE),
    ("16", U, S::RehomePending, Offline, FORCE, Ok((M, S::Complete, 0))),
    ("17", U, S::Secondary, Online, MANAGE, NOT_MANAGEABLE),
    ("18", U, S::Secondary, Offline, FORCE, Ok((M, S::Secondary, 0))),
    ("19", U, S::ConfigFailed, Online, MANAGE, NOT_MANAGEABLE),
    ("20", U, S::ConfigFailed, Offline, FORCE, Ok((M, S::ConfigFailed, 0))),
    ("21", U, S::PrestageFailed, Online, MANAGE, Ok((M, S::PrestageFailed, 0))),
    // The exact text `true` alone makes a migrate; anything else arrives here as row 1 does.
    ("23", M, S::Complete, Online, UNMANAGE, Ok((U, S::Complete, 1))),
    ("unmanage, any deploy status", M, S::InstallFailed, Offline, UNMANAGE, Ok((U, S::InstallFailed, 1))),
    ("manage twice", M, S::Complete, Online, MANAGE, ALREADY_MANAGED),
    ("manage twice by force", M, S::Complete, Online, FORCE, ALREADY_MANAGED),
    ("migrate while not complete", U, S::InstallFailed, Online, MIGRATE, A),
    ("migrate a prestaged one", U, S::PrestageComplete, Online, MIGRATE, A),
    ("neither complete nor unmanaged", M, S::InstallFailed, Online, MANAGE_MIGRATE, B),
    ("deploy status before availability", U, S::ConfigFailed, Offline, MANAGE, NOT_MANAGEABLE),
    ("complete but offline", U, S::Complete, Offline, MANAGE, NOT_ONLINE),
    ("complete but offline by force", U, S::Complete, Offline, FORCE, Ok((M, S::Complete, 0))),
];

#[track_caller]
fn holds((row, management, deploy, availability, ask, expected): &Row) {
    let before = in_state(*management, *deploy, *availability).state().clone();
    match (ask.decide(&before), expected) {
        (Ok(events), Ok(expected)) => {
            let after = fold(Some(before.clone()), events).unwrap();
            assert_eq!(&(after.management, after.deploy, known(&after).len()), expected, "row {row}");
            assert_eq!(after.availability, before.availability, "row {row}");
            assert_eq!(after.error_description, before.error_description, "row {row}");
        }
        (Err(rejection), Err(text)) => {
            assert!(rejection.to_string().contains(text), "row {row}: {rejection}")
        }
        (decided, expected) => panic!("row {row}: {decided:?}, not {expected:?}"),
    }
}

#[test]
fn every_row_of_the_decision_table_holds() {
    ROWS.iter().for_each(holds);
}

/// Names the contract's cases by the rows they are.
macro_rules! cases {
    ($(fn $case:ident is $row:literal),+ $(,)?) => { $(
        #[test]
        fn $case() {
            ROWS.iter().find(|row| row.0 == $row).iter().for_each(|row| holds(row));
            assert!(ROWS.iter().any(|row| row.0 == $row), "no row {}", $row);
        }
    )+ };
}

cases! {
    fn sc_146_unmanage_keeps_dc_cert_alone is "1",
    fn sc_147_unmanage_to_migrate_forgets_every_endpoint is "2",
    fn sc_148_manage_back_gives_complete is "13",
    fn sc_149_manage_back_needs_it_online is "15",
    fn sc_150_manage_back_by_force is "16",
    fn sc_151_migrate_alone_when_unmanaged is "8",
    fn sc_152_migrate_alone_when_managed is "6",
    fn sc_153_migrate_a_prestaged_one is "3",
    fn sc_154_migrate_a_failed_one is "4",
    fn sc_155_the_second_text_wins is "5",
    fn sc_156_migrate_and_manage is "10",
    fn sc_157_migrate_and_unmanage_when_unmanaged is "9",
    fn sc_158_migrate_when_pending_already is "11",
    fn sc_159_migrate_and_manage_when_pending is "14",
    fn sc_160_a_flag_that_is_not_true_is_no_flag is "23",
    fn sc_164_a_failed_one_is_not_manageable is "19",
    fn sc_165_a_failed_one_is_managed_by_force is "20",
    fn sc_166_a_prestage_failed_one_is_manageable is "21",
    fn sc_167_manage_twice is "manage twice",
    fn sc_168_a_secondary_is_not_manageable is "17",
    fn jb_029_manage_twice_is_refused is "manage twice",
    fn jb_030_unmanage_twice_is_refused is "9",
    fn jb_032_manage_needs_it_online is "complete but offline",
    fn jb_033_manage_offline_by_force is "complete but offline by force",
}

#[test]
fn jb_031_a_subcloud_whose_deploy_failed_is_not_manageable() {
    in_state(U, S::DeployFailed, Online).when(ManageSubcloud::default()).then_rejected("not-manageable");
}

#[test]
fn manageable_are_complete_rehome_pending_and_the_prestage_states() {
    for status in S::ALL {
        let then = in_state(U, *status, Online).when(ManageSubcloud::default());
        match status {
            S::Complete
            | S::RehomePending
            | S::PrestagingPackages
            | S::PrestagingImages
            | S::PrestageFailed
            | S::PrestageComplete => drop(then.then_accepted()),
            _ => drop(then.then_rejected("not-manageable")),
        }
    }
}

#[test]
fn force_manages_from_every_deploy_status_and_leaves_it_but_for_rehome_pending() {
    for status in S::ALL {
        let force = ManageSubcloud { force: true, ..ManageSubcloud::default() };
        let after = in_state(U, *status, Offline).when(force).then_accepted();
        let expected = if *status == S::RehomePending { S::Complete } else { *status };
        assert_eq!((after.state().management, after.state().deploy), (M, expected));
    }
}

#[test]
fn sc_146_events_of_unmanage() {
    in_state(M, S::Complete, Online)
        .when(UnmanageSubcloud::default())
        .then([unmanaged(false), unknown(&all_but_dc_cert())]);
}

#[test]
fn sc_147_events_of_unmanage_to_migrate_are_one_append() {
    let migrate = UnmanageSubcloud { migrate: true, ..UnmanageSubcloud::default() };
    in_state(M, S::Complete, Online).when(migrate).then([
        unmanaged(true),
        moved(S::Complete, S::RehomePending),
        unknown(&Endpoint::DEFAULT),
    ]);
}

#[test]
fn sc_148_managing_back_sets_no_endpoint() {
    in_state(U, S::RehomePending, Online)
        .and(in_sync())
        .when(ManageSubcloud::default())
        .then([managed(false), moved(S::RehomePending, S::Complete)]);
}

#[test]
fn sc_162_an_update_that_leaves_it_pending_forgets_its_endpoints_again() {
    let details = Details { description: Some("x".to_owned()), ..Details::default() };
    in_state(U, S::RehomePending, Online).and(in_sync()).when(UpdateSubcloud { details }).then([
        SubcloudDescribed { description: Some("x".to_owned()), location: None }.into(),
        unknown(&Endpoint::DEFAULT),
    ]);
}

#[test]
fn row_11_forgets_endpoints_that_became_known_meanwhile() {
    in_state(U, S::RehomePending, Online)
        .and(in_sync())
        .when(MarkRehomePending::default())
        .then([unknown(&Endpoint::DEFAULT)])
        .when(MarkRehomePending::default())
        .then_nothing();
}

#[test]
fn row_18_a_managed_secondary_stays_unreported_and_can_be_released_again() {
    let force = ManageSubcloud { force: true, ..ManageSubcloud::default() };
    in_state(U, S::Secondary, Offline)
        .when(force)
        .then([managed(true)])
        .when(UnmanageSubcloud::default())
        .then([unmanaged(false)]);
}

#[test]
fn an_endpoint_not_known_is_not_reset() {
    in_state(M, S::Complete, Online)
        .and([unknown(&[Endpoint::Load, Endpoint::Identity])])
        .when(UnmanageSubcloud::default())
        .then([
            unmanaged(false),
            unknown(&[
                Endpoint::Firmware,
                Endpoint::KubeRootca,
                Endpoint::Kubernetes,
                Endpoint::Patching,
                Endpoint::Platform,
            ]),
        ]);
}
