//! Every event the program writes, with its current version and shape.

use dcm_domain::association::{self, PeerGroupAssociationEvent};
use dcm_domain::audit::{self, AuditTriggerEvent};
use dcm_domain::deploy_files::{self, DeployFilesEvent};
use dcm_domain::directory::{self, DirectoryEvent};
use dcm_domain::group::{self, SubcloudGroupEvent};
use dcm_domain::key_directory::{self, KeyDirectoryEvent};
use dcm_domain::options::{self, SwUpdateOptionsEvent};
use dcm_domain::peer_group::{self, SubcloudPeerGroupEvent};
use dcm_domain::strategy::{self, StrategyEvent};
use dcm_domain::subcloud::{self, SubcloudEvent};
use dcm_domain::system_peer::{self, SystemPeerEvent};
use dcm_domain::takeover::{self, TakeOverEvent};
use serde_json::Value;

use super::old;
use crate::{json_schema, subjects};

/// One event name, as it is written today.
#[derive(Clone, Copy, Debug)]
pub struct EventType {
    /// Aggregate token of its subjects.
    pub aggregate: &'static str,
    /// Event name.
    pub name: &'static str,
    /// The version it is written in; all versions from 1 on can be read.
    pub version: u32,
    schema: fn() -> Value,
}

impl EventType {
    /// JSON Schema of `data` in `version`; `None` for one that never was.
    pub fn schema(&self, version: u32) -> Option<Value> {
        if version == self.version { Some((self.schema)()) } else { old::schema(self.name, version) }
    }

    /// Its subject, with the key as an AsyncAPI address parameter where there is more than one aggregate.
    pub fn address(&self) -> String {
        let key = match self.parameter() {
            Some((name, _)) => format!("{{{name}}}"),
            None => self.aggregate.to_owned(),
        };
        format!("dcm.v1.event.{}.{key}.{}", self.aggregate, subjects::kebab_case(self.name))
    }

    /// Name and meaning of the address parameter.
    pub fn parameter(&self) -> Option<(&'static str, &'static str)> {
        match self.aggregate {
            subjects::SUBCLOUD => Some((
                "region",
                "Region name of the subcloud, stable across renames; everything outside [A-Za-z0-9_-] is percent-encoded.",
            )),
            subjects::DIRECTORY
            | subjects::SW_UPDATE_STRATEGY
            | subjects::SW_UPDATE_OPTIONS
            | subjects::AUDIT_TRIGGERS => None,
            subjects::KEY_DIRECTORY => {
                Some(("kind", "Kind of the entities it lists, such as `subcloud-group`."))
            }
            _ => Some(("uuid", "Uuid of the aggregate.")),
        }
    }
}

/// Lists the events of each aggregate and lets the compiler check that none is missing.
macro_rules! table {
    ($($aggregate:path, $module:ident :: $enum:ident { $($name:ident $version:literal),* $(,)? })*) => {
        /// Every event the program writes.
        pub const ALL: &[EventType] = &[$($(EventType {
            aggregate: $aggregate,
            name: stringify!($name),
            version: $version,
            schema: json_schema::of::<$module::$name>,
        }),*),*];

        $(const _: fn(&$enum) = |event| match event {
            // A new event does not compile until it is in the table below.
            $($enum::$name(_) => {})*
        };)*
    };
}

table! {
    subjects::SUBCLOUD, subcloud::SubcloudEvent {
        SubcloudAdded 1,
        CreationAbandoned 1,
        SubcloudDeleted 1,
        SubcloudDescribed 1,
        SubcloudRenamed 1,
        GroupMoved 1,
        InstallDataUpdated 1,
        BootstrapDataUpdated 1,
        DeployConfigUpdated 1,
        RehomeDataUpdated 1,
        NetworkUpdated 1,
        SoftwareVersionChanged 1,
        SubcloudManaged 1,
        SubcloudUnmanaged 2,
        DeployStatusChanged 1,
        SyncStatusUnknown 1,
        SyncStatusChanged 1,
        AvailabilityChanged 1,
        BackupStatusChanged 1,
        DeployRunRequested 1,
        DeployRunClaimed 1,
        DeployStepRecorded 1,
        DeployAbortRequested 1,
        DeployRunFinished 1,
        PeerGroupChanged 1,
        ChecksSkipped 1,
        PrestageRequested 1,
        RestoreRequested 1,
        NetworkReconfigurationRequested 1,
        BackupRunRequested 1,
        BackupRunFinished 1,
        AlarmSummaryChanged 1,
        SubcloudImported 1,
    }
    subjects::DIRECTORY, directory::DirectoryEvent {
        EntryReserved 1,
        EntryImported 1,
        EntryConfirmed 1,
        EntryReleased 1,
        NameReserved 1,
        NameConfirmed 1,
        NameReleased 1,
        SubnetChanged 1,
        SubnetReserved 1,
        SubnetReleased 1,
        GroupMembershipChanged 1,
        GroupMoveReserved 1,
        GroupMoveReleased 1,
        GroupClosed 1,
        GroupReopened 1,
    }
    subjects::SUBCLOUD_GROUP, group::SubcloudGroupEvent {
        SubcloudGroupAdded 1,
        SubcloudGroupImported 1,
        SubcloudGroupUpdated 1,
        SubcloudGroupDeleted 1,
        SubcloudGroupAbandoned 1,
    }
    subjects::DEPLOY_FILES, deploy_files::DeployFilesEvent {
        DeployFilesUploaded 1,
    }
    subjects::SW_UPDATE_OPTIONS, options::SwUpdateOptionsEvent {
        SwUpdateOptionsSet 1,
        SwUpdateOptionsRemoved 1,
        SwUpdateOptionsImported 1,
    }
    subjects::AUDIT_TRIGGERS, audit::AuditTriggerEvent {
        AuditTriggered 1,
    }
    subjects::SUBCLOUD_PEER_GROUP, peer_group::SubcloudPeerGroupEvent {
        SubcloudPeerGroupAdded 1,
        SubcloudPeerGroupImported 1,
        SubcloudPeerGroupUpdated 1,
        SubcloudPeerGroupDeleted 1,
        SubcloudPeerGroupAbandoned 1,
        MigrationStatusChanged 1,
        MigrationRequested 1,
        MigrationFinished 1,
    }
    subjects::SYSTEM_PEER, system_peer::SystemPeerEvent {
        SystemPeerAdded 1,
        SystemPeerImported 1,
        SystemPeerUpdated 1,
        SystemPeerDeleted 1,
        SystemPeerAbandoned 1,
    }
    subjects::PEER_GROUP_ASSOCIATION, association::PeerGroupAssociationEvent {
        PeerGroupAssociationAdded 1,
        PeerGroupAssociationImported 1,
        PeerGroupAssociationDeleted 1,
        PeerGroupAssociationAbandoned 1,
        AssociationSyncRequested 1,
        AssociationSyncStatusChanged 1,
    }
    subjects::KEY_DIRECTORY, key_directory::KeyDirectoryEvent {
        KeysReserved 1,
        KeysConfirmed 1,
        KeysReleased 1,
        KeyChangeReserved 1,
        KeyChangeConfirmed 1,
        KeyChangeReleased 1,
        ReferenceClosed 1,
        ReferenceReopened 1,
    }
    subjects::SW_UPDATE_STRATEGY, strategy::StrategyEvent {
        StrategyCreated 1,
        StepsPlanned 1,
        StrategyApplied 1,
        StrategyClaimed 1,
        StrategyAbortRequested 1,
        StrategyStateChanged 1,
        StepsChanged 1,
        StrategyFinished 1,
        StrategyDeletionRequested 1,
        StrategyDeleted 1,
        StrategyImported 1,
        StepsImported 1,
    }
    subjects::TAKE_OVER, takeover::TakeOverEvent {
        TakeOverBegun 1,
        TakeOverFinished 1,
    }
}

/// The event of that name.
pub fn find(name: &str) -> Option<&'static EventType> {
    ALL.iter().find(|event| event.name == name)
}

/// JSON Schema of the data of an event; `None` if there never was such a name and version.
pub fn schema(name: &str, version: u32) -> Option<Value> {
    find(name)?.schema(version)
}

/// Every event and version that was ever written, oldest first.
pub fn versions() -> impl Iterator<Item = (&'static EventType, u32)> {
    ALL.iter().flat_map(|event| (1..=event.version).map(move |version| (event, version)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_versions_follow_from_the_upcasters() {
        let names: BTreeSet<&str> = ALL.iter().map(|event| event.name).collect();
        assert_eq!(names.len(), ALL.len());
        for event in ALL {
            assert_eq!(event.version, crate::registry::current_version(event.name), "{}", event.name);
        }
    }

    #[test]
    fn every_version_ever_written_has_a_schema() {
        for (event, version) in versions() {
            assert!(event.schema(version).is_some(), "{} version {version}", event.name);
        }
        assert_eq!(schema("SubcloudUnmanaged", 3), None);
        assert_eq!(schema("SubcloudUnmanaged", 0), None);
        assert_eq!(schema("Unheard", 1), None);
    }

    #[test]
    fn addresses_are_the_subjects_with_the_key_left_open() {
        for event in ALL {
            let key = match event.parameter() {
                Some(_) => "k",
                None => event.aggregate,
            };
            let address =
                event.address().replace("{region}", "k").replace("{uuid}", "k").replace("{kind}", "k");
            assert_eq!(address, subjects::event(event.aggregate, key, event.name));
        }
    }
}
