//! Groups, peer groups, system peers, associations and update options.

use std::collections::{BTreeMap, BTreeSet};

use dcm_domain::association::{
    PeerGroupAssociationImported, pair_key, peer_group_reference, system_peer_reference,
};
use dcm_domain::group::{self, DEFAULT_GROUP, DEFAULT_GROUP_ID, SubcloudGroupImported};
use dcm_domain::key_directory::Keys;
use dcm_domain::options::{OptionValues, SwUpdateOptionsImported};
use dcm_domain::peer_group::{self, SubcloudPeerGroupImported};
use dcm_domain::system_peer::{self, SystemPeerImported};
use dcm_domain::value::Secret;
use dcm_journal::collection::NewEntity;
use uuid::Uuid;

use super::documents::Origin;
use super::{SubcloudToImport, Translator};
use crate::import::report::Kind;
use crate::import::row::{Row, Unusable};
use crate::import::tables::{ASSOCIATIONS, DEFAULT_OPTIONS, GROUPS, OPTIONS, PEER_GROUPS, PEERS};

/// A group to be written.
pub type GroupToImport = (NewEntity, SubcloudGroupImported);
/// A peer group to be written.
pub type PeerGroupToImport = (NewEntity, SubcloudPeerGroupImported);
/// A system peer to be written.
pub type PeerToImport = (NewEntity, SystemPeerImported);
/// An association to be written.
pub type AssociationToImport = (NewEntity, PeerGroupAssociationImported);

impl Translator<'_> {
    /// Every group, by id.
    pub fn groups(&mut self) -> Vec<GroupToImport> {
        let mut taken = Keys::new();
        self.each(GROUPS, |this, row| {
            let entity = match row.id {
                DEFAULT_GROUP_ID => DEFAULT_GROUP,
                id => this.ids.entity(GROUPS, id),
            };
            let imported = SubcloudGroupImported {
                id: row.id,
                name: this.text(row, "name"),
                description: this.text(row, "description"),
                update_apply_type: this.text(row, "update_apply_type"),
                max_parallel_subclouds: this.number(row, "max_parallel_subclouds", 0)?,
                created_at: this.created_at(row)?,
                updated_at: row.time("updated_at")?,
            };
            let keys = [group::name_key(&imported.name)].into();
            Ok((this.entity(row, entity, keys, &mut taken), imported))
        })
    }

    /// Every peer group, by id.
    pub fn peer_groups(&mut self) -> Vec<PeerGroupToImport> {
        let mut taken = Keys::new();
        self.each(PEER_GROUPS, |this, row| {
            let entity = this.ids.entity(PEER_GROUPS, row.id);
            let imported = SubcloudPeerGroupImported {
                id: row.id,
                peer_group_name: this.text(row, "peer_group_name"),
                group_priority: this.number(row, "group_priority", 0)?,
                group_state: this.text(row, "group_state"),
                max_subcloud_rehoming: this.number(row, "max_subcloud_rehoming", 0)?,
                system_leader_id: row.text("system_leader_id").map(str::to_owned),
                system_leader_name: row.text("system_leader_name").map(str::to_owned),
                migration_status: row.text("migration_status").map(str::to_owned),
                created_at: this.created_at(row)?,
                updated_at: row.time("updated_at")?,
            };
            if imported.migration_status.as_deref() == Some("migrating") {
                this.report.find(Kind::Transitory, row, "migrating");
            }
            let keys = [peer_group::name_key(&imported.peer_group_name)].into();
            Ok((this.entity(row, entity, keys, &mut taken), imported))
        })
    }

    /// Every system peer, by id.
    pub fn peers(&mut self) -> Vec<PeerToImport> {
        let mut taken = Keys::new();
        self.each(PEERS, |this, row| {
            let entity = this.ids.entity(PEERS, row.id);
            let origin = Origin { owner: entity, table: PEERS, row: row.id, purpose: "manager_password" };
            let password = row.text("manager_password").map(|text| Secret::new(text.to_owned()));
            let imported = SystemPeerImported {
                id: row.id,
                peer_uuid: this.text(row, "peer_uuid"),
                peer_name: this.text(row, "peer_name"),
                manager_endpoint: this.text(row, "manager_endpoint"),
                manager_username: this.text(row, "manager_username"),
                manager_password: password.map(|password| this.documents.password(origin, password)),
                peer_controller_gateway_address: this.text(row, "peer_controller_gateway_ip"),
                administrative_state: this.text(row, "administrative_state"),
                heartbeat_interval: this.number(row, "heartbeat_interval", 0)?,
                heartbeat_failure_threshold: this.number(row, "heartbeat_failure_threshold", 0)?,
                heartbeat_failure_policy: this.text(row, "heartbeat_failure_policy"),
                heartbeat_maintenance_timeout: this.number(row, "heartbeat_maintenance_timeout", 0)?,
                heartbeat_status: this.text(row, "heartbeat_status"),
                created_at: this.created_at(row)?,
                updated_at: row.time("updated_at")?,
            };
            let name = system_peer::name_key(&imported.peer_name);
            let keys = [name, system_peer::uuid_key(&imported.peer_uuid)].into();
            Ok((this.entity(row, entity, keys, &mut taken), imported))
        })
    }

    /// Every association, by id.
    pub fn associations(&mut self) -> Vec<AssociationToImport> {
        let mut taken = Keys::new();
        let (groups, peers) = (self.ids_of(PEER_GROUPS), self.ids_of(PEERS));
        self.each(ASSOCIATIONS, |this, row| {
            let imported = PeerGroupAssociationImported {
                id: row.id,
                peer_group_id: this.number(row, "peer_group_id", 0)?,
                system_peer_id: this.number(row, "system_peer_id", 0)?,
                peer_group_priority: row.number("peer_group_priority")?,
                sync_status: this.text(row, "sync_status"),
                sync_message: row.text("sync_message").map(str::to_owned),
                created_at: this.created_at(row)?,
                updated_at: row.time("updated_at")?,
            };
            let PeerGroupAssociationImported { peer_group_id, system_peer_id, .. } = imported;
            if !groups.contains(&peer_group_id) || !peers.contains(&system_peer_id) {
                let text = format!("peer group {peer_group_id} or system peer {system_peer_id} is not there");
                this.report.find(Kind::Dangling, row, text);
            }
            if imported.sync_status == "syncing" {
                this.report.find(Kind::Transitory, row, "syncing");
            }
            let entity = this.ids.entity(ASSOCIATIONS, row.id);
            let keys = [pair_key(peer_group_id, system_peer_id)].into();
            let refs = [peer_group_reference(peer_group_id), system_peer_reference(system_peer_id)];
            Ok((this.entity(row, entity, keys, &mut taken).referring_to(refs.into()), imported))
        })
    }

    /// Every row of update options, the default first.
    pub fn options(&mut self, subclouds: &[SubcloudToImport]) -> Vec<SwUpdateOptionsImported> {
        let known: BTreeMap<i64, Uuid> =
            subclouds.iter().map(|subcloud| (subcloud.row.id, subcloud.entity)).collect();
        let mut rows = self.each(DEFAULT_OPTIONS, |_, row| options(row, None));
        if let Some(further) = rows.get(1).map(|row| row.id) {
            let text = format!("a second default, {further} and on; the first is kept");
            self.left_out(DEFAULT_OPTIONS, text);
            rows.truncate(1);
        }
        let mut seen = BTreeSet::new();
        let own = self.each(OPTIONS, |this, row| {
            let subcloud = row.number("subcloud_id")?.and_then(|id| known.get(&id).copied());
            let Some(subcloud) = subcloud else {
                this.report.find(Kind::LeftOut, row, "its subcloud is not there");
                return Ok(None);
            };
            if !seen.insert(subcloud) {
                this.report.find(Kind::Duplicate, row, "a further row of its subcloud; the first is kept");
                return Ok(None);
            }
            options(row, Some(subcloud)).map(Some)
        });
        rows.extend(own.into_iter().flatten());
        rows
    }

    /// Every row of `table`, translated; what cannot be is an error of the import.
    fn each<T>(
        &mut self,
        table: &str,
        mut translated: impl FnMut(&mut Self, &Row) -> Result<T, Unusable>,
    ) -> Vec<T> {
        let rows = self.snapshot.table(table);
        rows.iter()
            .filter_map(|row| {
                let read = translated(self, row);
                self.report.keep(read)
            })
            .collect()
    }

    /// What the directory lists: without the keys that an earlier row has, which stays found by them.
    fn entity(&mut self, row: &Row, entity: Uuid, keys: Keys, taken: &mut Keys) -> NewEntity {
        let (shared, own): (Keys, Keys) = keys.into_iter().partition(|key| taken.contains(key));
        if !shared.is_empty() {
            let shared = shared.into_iter().collect::<Vec<_>>().join(", ");
            self.report.find(Kind::Duplicate, row, format!("an earlier row has {shared} too"));
        }
        taken.extend(own.iter().cloned());
        NewEntity { entity, id: Some(row.id), ..NewEntity::new(own) }
    }
}

fn options(row: &Row, subcloud: Option<Uuid>) -> Result<SwUpdateOptionsImported, Unusable> {
    let text = |column| row.text(column).map(str::to_owned);
    Ok(SwUpdateOptionsImported {
        subcloud,
        id: row.id,
        subcloud_id: row.number("subcloud_id")?,
        values: OptionValues {
            storage_apply_type: text("storage_apply_type"),
            worker_apply_type: text("worker_apply_type"),
            max_parallel_workers: row.number("max_parallel_workers")?,
            alarm_restriction_type: text("alarm_restriction_type"),
            default_instance_action: text("default_instance_action"),
        },
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
