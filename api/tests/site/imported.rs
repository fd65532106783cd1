//! Subclouds as an import leaves them: with whatever their old rows had.

use std::collections::BTreeSet;
use std::sync::Arc;

use dcm_domain::directory::{Directory, EntryToImport, ImportEntries};
use dcm_domain::subcloud::command::ImportSubcloud;
use dcm_domain::subcloud::{Document, ImportedSubcloud, ManagementNetwork};
use dcm_domain::value::{
    Availability, DeployStatus, Endpoint, ManagementState, Name, Region, Secret, Subnet, SyncStatus,
};
use dcm_journal::repository::Repository;
use serde_json::Value;
use uuid::Uuid;

use super::{Site, meta};

impl Site {
    /// Takes over the row `number` as `edit` leaves it; it is shown.
    pub async fn import(&self, number: u8, edit: impl FnOnce(&mut ImportedSubcloud)) -> Uuid {
        let entity = Uuid::now_v7();
        self.import_as(entity, number, edit).await;
        entity
    }

    /// The same under a uuid that documents were kept for.
    pub async fn import_as(&self, entity: Uuid, number: u8, edit: impl FnOnce(&mut ImportedSubcloud)) {
        let mut row = row(number);
        edit(&mut row);
        let entry = EntryToImport {
            entity,
            id: row.id,
            name: row.name.clone(),
            region: row.region.clone(),
            subnet: Subnet::parse(&row.network.subnet).ok(),
            group_id: row.group_id,
        };
        let directory = Repository::<Directory>::new(Arc::clone(&self.journal));
        let entries = ImportEntries { entries: vec![entry] };
        directory.run(&Directory::STREAM.parse().unwrap(), &entries, &meta()).await.unwrap();
        self.run(entity, &ImportSubcloud { id: row.id, row }).await;
    }

    /// A document whose text is `text`, of which answers show `shown`.
    pub async fn document(&self, owner: Uuid, text: &str, shown: Value) -> Document {
        let vault = self.app.vault();
        let secret = vault.put(owner, "data_install", Secret::new(text.to_owned())).await.unwrap();
        Document { secret, digest: vault.digest(owner, text.as_bytes()), shown }
    }
}

/// `old<number>`, offline, unmanaged, `complete`, in 192.168.<100 + number>.0/24.
fn row(number: u8) -> ImportedSubcloud {
    let third = 100 + number;
    ImportedSubcloud {
        id: number.into(),
        name: Name::imported(&format!("old{number}")).unwrap(),
        region: Region::imported(&format!("region{number}")).unwrap(),
        description: None,
        location: None,
        software_version: "22.12".to_owned(),
        management: ManagementState::Unmanaged,
        availability: Availability::Offline,
        deploy: DeployStatus::Complete,
        backup: None,
        backup_datetime: None,
        error_description: String::new(),
        network: ManagementNetwork {
            subnet: format!("192.168.{third}.0/24"),
            start_ip: format!("192.168.{third}.2"),
            end_ip: format!("192.168.{third}.50"),
            gateway_ip: format!("192.168.{third}.1"),
        },
        systemcontroller_gateway_ip: "192.168.204.101".to_owned(),
        group_id: 1,
        peer_group_id: None,
        openstack_installed: false,
        install: None,
        data_upgrade: None,
        rehome: None,
        bootstrap: None,
        bootstrap_address: None,
        deploy_config: None,
        initial_deployment: true,
        endpoints: Endpoint::DEFAULT.into_iter().map(|endpoint| (endpoint, SyncStatus::Unknown)).collect(),
        audit_fail_count: 0,
        first_identity_sync_complete: true,
        alarms: None,
        alarm_row: None,
        created_at: None,
        updated_at: None,
        nulls: BTreeSet::new(),
    }
}
