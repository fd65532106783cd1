//! Subclouds that were taken over (decisions.md, "Import"; jobs.md §2).

use std::collections::{BTreeMap, BTreeSet};

use dcm_domain::directory::{Directory, EntryToImport, ImportEntries, ReleaseEntry, ReserveEntry};
use dcm_domain::subcloud::command::{DeleteSubcloud, ImportSubcloud, RecoverImported};
use dcm_domain::subcloud::{
    BackupStatusChanged, DeployStatusChanged, ImportedSubcloud, ManagementNetwork, NullColumn, Subcloud,
    SubcloudEvent, SubcloudImported,
};
use dcm_domain::value::{
    Availability, BackupStatus as B, DeployStatus as S, ManagementState, Name, Region, Subnet,
};
use uuid::Uuid;

use crate::kit::{Given, given};

fn row(deploy: S, backup: Option<B>) -> ImportedSubcloud {
    ImportedSubcloud {
        id: 7,
        name: Name::imported("Old name, odd!").unwrap(),
        region: Region::imported("RegionOne").unwrap(),
        description: None,
        location: None,
        software_version: String::new(),
        management: ManagementState::Unmanaged,
        availability: Availability::Offline,
        deploy,
        backup,
        backup_datetime: None,
        error_description: "kept".to_owned(),
        network: ManagementNetwork {
            subnet: String::new(),
            start_ip: String::new(),
            end_ip: String::new(),
            gateway_ip: String::new(),
        },
        systemcontroller_gateway_ip: String::new(),
        group_id: 0,
        peer_group_id: Some(9),
        openstack_installed: true,
        install: None,
        data_upgrade: None,
        rehome: None,
        bootstrap: None,
        bootstrap_address: None,
        deploy_config: None,
        initial_deployment: true,
        endpoints: BTreeMap::new(),
        audit_fail_count: 2,
        first_identity_sync_complete: true,
        alarms: None,
        alarm_row: None,
        created_at: None,
        updated_at: None,
        nulls: BTreeSet::from([NullColumn::SoftwareVersion]),
    }
}

fn imported(deploy: S, backup: Option<B>) -> Given<Subcloud> {
    given([SubcloudImported { row: row(deploy, backup) }.into()])
}

#[test]
fn a_row_is_taken_over_once_and_as_it_is() {
    let row = row(S::Secondary, None);
    let command = ImportSubcloud { id: 7, row: row.clone() };
    let begun = given::<Subcloud>([]).when(command.clone()).then([SubcloudImported { row }.into()]);
    let state = begun.state();
    assert_eq!(state.unless_null(NullColumn::SoftwareVersion, &state.software_version), None);
    assert_eq!(state.unless_null(NullColumn::ManagementSubnet, &state.network.subnet), Some(""));
    imported(S::Secondary, None).when(command).then([]);
}

#[test]
fn jb_045_to_048_every_transitory_status_ends_as_the_table_says_and_no_other_does() {
    let ends = [
        (S::NotDeployed, S::CreateFailed),
        (S::Creating, S::CreateFailed),
        (S::PreInstall, S::PreInstallFailed),
        (S::Installing, S::InstallFailed),
        (S::AbortingInstall, S::InstallFailed),
        (S::PreBootstrap, S::PreBootstrapFailed),
        (S::Bootstrapping, S::BootstrapFailed),
        (S::AbortingBootstrap, S::BootstrapFailed),
        (S::PreConfig, S::PreConfigFailed),
        (S::PreDeploy, S::PreConfigFailed),
        (S::Configuring, S::ConfigFailed),
        (S::AbortingConfig, S::ConfigFailed),
        (S::Deploying, S::ConfigFailed),
        (S::MigratingData, S::DataMigrationFailed),
        (S::PreRestore, S::RestorePrepFailed),
        (S::Restoring, S::RestoreFailed),
        (S::PreRehome, S::RehomePrepFailed),
        (S::Rehoming, S::RehomeFailed),
        (S::PrestagingPackages, S::PrestageFailed),
        (S::PrestagingImages, S::PrestageFailed),
        (S::ReconfiguringNetwork, S::NetworkReconfigurationFailed),
    ];
    let backups = [
        (B::Initial, B::ValidateFailed),
        (B::Validating, B::ValidateFailed),
        (B::PreBackup, B::BackupPrepFailed),
        (B::BackingUp, B::Failed),
    ];
    for deploy in S::ALL.iter().copied() {
        for backup in B::ALL.iter().copied().map(Some).chain([None]) {
            let to = ends.iter().find(|(from, _)| *from == deploy).map(|(_, to)| *to);
            let stored = backups.iter().find(|(from, _)| Some(*from) == backup).map(|(_, to)| *to);
            let changed =
                to.map(|to| DeployStatusChanged { from: deploy, to, run_id: None, error: None }.into());
            let stored = stored.map(|to| BackupStatusChanged { from: backup, to, stored_at: None }.into());
            let expected: Vec<SubcloudEvent> = changed.into_iter().chain(stored).collect();
            assert_eq!(RecoverImported::would_change(&row(deploy, backup)), !expected.is_empty());
            let after = imported(deploy, backup).when(RecoverImported).then(expected);
            assert_eq!(after.state().error_description, "kept");
            assert!(!RecoverImported::applies_to(after.state()));
        }
    }
}

#[test]
fn a_deleted_subcloud_is_left_alone() {
    imported(S::CreateFailed, None)
        .after(DeleteSubcloud)
        .when(RecoverImported)
        .then_rejected("subcloud-not-found");
}

fn entry(number: u128, subnet: Option<&str>) -> EntryToImport {
    EntryToImport {
        entity: Uuid::from_u128(number),
        id: i64::try_from(number).unwrap(),
        name: Name::imported(&format!("old {number}")).unwrap(),
        region: Region::imported("same").unwrap(),
        subnet: subnet.map(|text| Subnet::parse(text).unwrap()),
        group_id: 0,
    }
}

#[test]
fn entries_keep_what_they_share_and_only_new_ones_are_refused() {
    let entries = vec![entry(40, Some("10.0.0.0/24")), entry(41, Some("10.0.0.0/16")), entry(42, None)];
    let directory = given::<Directory>([]).after(ImportEntries { entries: entries.clone() });
    let state = directory.clone().after(ImportEntries { entries: Vec::new() });
    let region = Region::imported("same").unwrap();
    assert_eq!(state.state().by_region(&region), Some(Uuid::from_u128(40)));
    assert_eq!(state.state().next_id(), 43);
    assert_eq!(state.state().unsettled().count(), 0);
    directory.clone().when(ImportEntries { entries }).then([]);
    let new = |subnet: &str, region: &str| ReserveEntry {
        entity: Uuid::from_u128(1),
        name: Name::parse("new").unwrap(),
        region: Region::parse(region).unwrap(),
        subnet: Subnet::parse(subnet).unwrap(),
        group_id: 1,
    };
    directory.clone().when(new("10.0.1.0/24", "new")).then_rejected("subnet-overlaps");
    directory.clone().when(new("10.1.0.0/24", "same")).then_rejected("region-taken");
    // Whoever shared the region with one that is gone is found by it then.
    let after = directory.after(ReleaseEntry { entity: Uuid::from_u128(40) });
    assert_eq!(after.state().by_region(&region), Some(Uuid::from_u128(41)));
    let after = after.after(ReleaseEntry { entity: Uuid::from_u128(42) });
    assert_eq!(after.state().by_region(&region), Some(Uuid::from_u128(41)));
    let after = after.after(ReleaseEntry { entity: Uuid::from_u128(41) });
    assert_eq!(after.state().by_region(&region), None);
}
