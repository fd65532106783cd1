//! Updates beside the axes (subclouds.md §6.4): only what changes is an event.

use dcm_domain::subcloud::command::{Details, ManageSubcloud, UnmanageSubcloud, UpdateSubcloud};
use dcm_domain::subcloud::{GroupMoved, InstallDataUpdated, RehomeDataUpdated, SubcloudDescribed};
use dcm_domain::value::{Availability, DeployStatus as S, Endpoint, ManagementState as M};

use crate::samples::*;

fn everything() -> Details {
    Details {
        description: Some("edge of the woods".to_owned()),
        location: Some("shed".to_owned()),
        group_id: Some(2),
        install: Some(document("install")),
        rehome: Some(document("rehome")),
        peer_group: None,
    }
}

#[test]
fn an_update_tells_each_change_once() {
    subcloud(S::Complete)
        .when(UpdateSubcloud { details: everything() })
        .then([
            SubcloudDescribed {
                description: Some("edge of the woods".to_owned()),
                location: Some("shed".to_owned()),
            }
            .into(),
            GroupMoved { from: 1, to: 2 }.into(),
            InstallDataUpdated { install: document("install") }.into(),
            RehomeDataUpdated { rehome: document("rehome") }.into(),
        ])
        .when(UpdateSubcloud { details: everything() })
        .then_nothing();
}

#[test]
fn an_update_of_nothing_is_a_successful_no_op() {
    for status in S::ALL {
        subcloud(*status).when(UpdateSubcloud::default()).then_nothing();
    }
}

#[test]
fn an_empty_text_is_stored_and_an_absent_one_leaves_what_there_is() {
    let given = subcloud(S::Complete).after(UpdateSubcloud { details: everything() });
    let details = Details { description: Some(String::new()), ..Details::default() };
    let after = given.when(UpdateSubcloud { details }).then([SubcloudDescribed {
        description: Some(String::new()),
        location: None,
    }
    .into()]);
    assert_eq!(after.state().description.as_deref(), Some(""));
    assert_eq!(after.state().location.as_deref(), Some("shed"));
}

#[test]
fn sc_127_moving_to_its_own_group_changes_nothing() {
    let details = Details { group_id: Some(1), ..Details::default() };
    subcloud(S::Complete).when(UpdateSubcloud { details }).then_nothing();
}

#[test]
fn jb_027_managing_takes_new_texts_along() {
    let details = Details { description: Some("x".to_owned()), ..Details::default() };
    in_state(M::Unmanaged, S::Complete, Availability::Online)
        .when(ManageSubcloud { details, ..ManageSubcloud::default() })
        .then([
            SubcloudDescribed { description: Some("x".to_owned()), location: None }.into(),
            managed(false),
        ]);
}

#[test]
fn jb_028_managing_takes_install_data_along() {
    let details = Details { install: Some(document("install")), ..Details::default() };
    in_state(M::Unmanaged, S::Complete, Availability::Online)
        .when(ManageSubcloud { details, ..ManageSubcloud::default() })
        .then([InstallDataUpdated { install: document("install") }.into(), managed(false)]);
}

#[test]
fn jb_034_managing_takes_a_group_move_along() {
    let details = Details { group_id: Some(2), ..Details::default() };
    in_state(M::Unmanaged, S::Complete, Availability::Online)
        .when(ManageSubcloud { details, ..ManageSubcloud::default() })
        .then([GroupMoved { from: 1, to: 2 }.into(), managed(false)]);
}

#[test]
fn sc_163_unmanaging_to_migrate_takes_a_description_along() {
    let details = Details { description: Some("kept".to_owned()), ..Details::default() };
    in_state(M::Managed, S::Complete, Availability::Online)
        .when(UnmanageSubcloud { migrate: true, details })
        .then([
            SubcloudDescribed { description: Some("kept".to_owned()), location: None }.into(),
            unmanaged(true),
            moved(S::Complete, S::RehomePending),
            unknown(&Endpoint::DEFAULT),
        ]);
}

#[test]
fn a_refused_request_changes_no_detail() {
    subcloud(S::Complete)
        .when(UnmanageSubcloud { migrate: false, details: everything() })
        .then_rejected("already-unmanaged");
}
