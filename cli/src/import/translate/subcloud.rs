//! `subclouds`, with `subcloud_status` and `subcloud_alarms`.

use std::collections::{BTreeMap, BTreeSet};

use dcm_domain::directory::EntryToImport;
use dcm_domain::subcloud::command::RecoverImported;
use dcm_domain::subcloud::{
    AlarmRow, AlarmSummary, Document, ImportedSubcloud, ManagementNetwork, NullColumn,
};
use dcm_domain::value::{
    Availability, BackupStatus, DeployStatus, Endpoint, ManagementState, Name, Region, Subnet, SyncStatus,
};
use sha2::Digest;
use uuid::Uuid;

use super::Translator;
use super::documents::{Origin, Translated};
use crate::import::overrides::Overrides;
use crate::import::report::Kind;
use crate::import::row::{Row, Unusable};
use crate::import::tables::{ALARMS, STATUS, SUBCLOUDS};

/// A subcloud to be written.
#[derive(Clone, Debug)]
pub struct SubcloudToImport {
    /// Uuid of its stream.
    pub entity: Uuid,
    /// Its row.
    pub row: ImportedSubcloud,
}

impl SubcloudToImport {
    /// What the directory holds for it.
    pub fn entry(&self) -> EntryToImport {
        let row = &self.row;
        EntryToImport {
            entity: self.entity,
            id: row.id,
            name: row.name.clone(),
            region: row.region.clone(),
            subnet: Subnet::parse(&row.network.subnet).ok(),
            group_id: row.group_id,
        }
    }
}

/// Endpoint statuses and alarms, by what they belong to.
struct Beside {
    endpoints: BTreeMap<i64, BTreeMap<Endpoint, SyncStatus>>,
    alarms: BTreeMap<String, (AlarmRow, AlarmSummary)>,
}

impl Translator<'_> {
    /// Every subcloud, by id.
    pub fn subclouds(&mut self, overrides: Option<&Overrides>) -> Vec<SubcloudToImport> {
        let mut beside = Beside { endpoints: self.endpoints(), alarms: self.alarms() };
        let mut subclouds = Vec::new();
        for row in self.snapshot.table(SUBCLOUDS) {
            let translated = self.subcloud(row, &mut beside, overrides);
            subclouds.extend(self.report.keep(translated));
        }
        for name in beside.alarms.keys() {
            self.left_out(ALARMS, format!("alarm counts of {name}, which is no subcloud"));
        }
        for id in beside.endpoints.keys() {
            self.left_out(STATUS, format!("endpoint statuses of subcloud {id}, which is not there"));
        }
        subclouds
    }

    fn subcloud(
        &mut self,
        row: &Row,
        beside: &mut Beside,
        overrides: Option<&Overrides>,
    ) -> Result<SubcloudToImport, Unusable> {
        let entity = self.ids.entity(SUBCLOUDS, row.id);
        let name = name(row)?;
        if Name::parse(name.as_ref()).is_err() {
            self.report.find(Kind::Odd, row, format!("the name {name} would be refused today"));
        }
        let region = self.region(row)?;
        let mut nulls = BTreeSet::new();
        let alarms = beside.alarms.remove(name.as_ref());
        let (alarm_row, alarms) = alarms.unzip();
        let files = overrides.map(|overrides| overrides.of(name.as_ref())).unwrap_or_default();
        for problem in &files.problems {
            self.report.find(Kind::File, row, problem.clone());
        }
        if let Some(digest) = &files.digest {
            self.files.get_or_insert_default().update(digest);
        }
        let install = self.document(row, entity, "data_install").or_else(|| {
            let values = files.install_values.clone()?;
            self.count_file("install values");
            Some(self.documents.unseen(origin(row, entity, "install_values"), values))
        });
        let data_upgrade = self.document(row, entity, "data_upgrade");
        let rehome = self.document(row, entity, "rehome_data");
        let bootstrap_address = files
            .inventory
            .as_ref()
            .and_then(|inventory| inventory.address.clone())
            .or_else(|| address_in(files.bootstrap.as_ref()?));
        let bootstrap = files.bootstrap.map(|payload| {
            self.count_file("bootstrap values");
            self.documents.bootstrap(origin(row, entity, "bootstrap_values"), payload)
        });
        let deploy_config = files.deploy_config.map(|text| {
            self.count_file("deploy configs");
            self.documents.closed(origin(row, entity, "deploy_config"), text)
        });
        if files.inventory.is_some() {
            self.count_file("inventories");
        }
        let row = ImportedSubcloud {
            id: row.id,
            description: row.text("description").map(str::to_owned),
            location: row.text("location").map(str::to_owned),
            software_version: text(row, "software_version", NullColumn::SoftwareVersion, &mut nulls),
            management: self.word(
                row,
                "management_state",
                ManagementState::parse,
                ManagementState::Unmanaged,
            )?,
            availability: self.word(
                row,
                "availability_status",
                Availability::parse,
                Availability::Offline,
            )?,
            deploy: self.word(row, "deploy_status", DeployStatus::parse, DeployStatus::NotDeployed)?,
            backup: row.some_word("backup_status", BackupStatus::parse)?,
            backup_datetime: row.time("backup_datetime")?,
            // Null is shown as empty (subclouds.md §2.3).
            error_description: row.text("error_description").unwrap_or_default().to_owned(),
            network: ManagementNetwork {
                subnet: text(row, "management_subnet", NullColumn::ManagementSubnet, &mut nulls),
                start_ip: text(row, "management_start_ip", NullColumn::ManagementStartIp, &mut nulls),
                end_ip: text(row, "management_end_ip", NullColumn::ManagementEndIp, &mut nulls),
                gateway_ip: text(row, "management_gateway_ip", NullColumn::ManagementGatewayIp, &mut nulls),
            },
            systemcontroller_gateway_ip: text(
                row,
                "systemcontroller_gateway_ip",
                NullColumn::SystemcontrollerGatewayIp,
                &mut nulls,
            ),
            group_id: row.number("group_id")?.unwrap_or_else(|| {
                nulls.insert(NullColumn::GroupId);
                0
            }),
            peer_group_id: row.number("peer_group_id")?,
            openstack_installed: row.flag("openstack_installed")?.unwrap_or(false),
            install,
            data_upgrade,
            rehome,
            bootstrap,
            bootstrap_address,
            deploy_config,
            // Without an inventory it is the first (subclouds.md V12).
            initial_deployment: files.inventory.is_none_or(|inventory| inventory.initial_deployment),
            endpoints: beside.endpoints.remove(&row.id).unwrap_or_default(),
            audit_fail_count: row.number("audit_fail_count")?.unwrap_or(0),
            first_identity_sync_complete: row.flag("first_identity_sync_complete")?.unwrap_or(false),
            alarms,
            alarm_row,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            nulls: BTreeSet::new(),
            name,
            region,
        };
        if row.created_at.is_none() {
            nulls.insert(NullColumn::CreatedAt);
        }
        Ok(SubcloudToImport { entity, row: ImportedSubcloud { nulls, ..row } })
    }

    fn region(&mut self, row: &Row) -> Result<Region, Unusable> {
        let Some(text) = row.text("region_name").filter(|text| !text.is_empty()) else {
            let fresh = self.ids.region(row.id);
            self.report.find(Kind::Null, row, format!("had no region; it gets {fresh}"));
            return Region::imported(&fresh).ok_or_else(|| row.unusable("region_name", "cannot be made up"));
        };
        if Region::parse(text).is_err() {
            self.report.find(Kind::Odd, row, format!("the region {text:?} would be refused today"));
        }
        let unusable =
            || row.unusable("region_name", "is longer than its column or holds control characters");
        Region::imported(text).ok_or_else(unusable)
    }

    /// A column with a document, if there is one.
    fn document(&mut self, row: &Row, owner: Uuid, column: &'static str) -> Option<Document> {
        let text = row.text(column)?;
        let origin = origin(row, owner, column);
        let Translated { document, note } = match column {
            "rehome_data" => self.documents.rehome(origin, text),
            _ => self.documents.json(origin, text),
        };
        if let Some(note) = note {
            self.report.find(Kind::Document, row, format!("{column} {note}"));
        }
        Some(document)
    }

    fn endpoints(&mut self) -> BTreeMap<i64, BTreeMap<Endpoint, SyncStatus>> {
        let mut endpoints: BTreeMap<i64, BTreeMap<Endpoint, SyncStatus>> = BTreeMap::new();
        for row in self.snapshot.table(STATUS) {
            let status = self.word(row, "sync_status", SyncStatus::parse, SyncStatus::Unknown);
            let read = row.number("subcloud_id").and_then(|id| Ok((id, row.text("endpoint_type"), status?)));
            let Some((id, kind, status)) = self.report.keep(read) else { continue };
            let (Some(id), Some(endpoint)) = (id, kind.and_then(Endpoint::parse)) else {
                let what = format!("endpoint {kind:?} of subcloud {id:?} is none this program knows");
                self.report.find(Kind::LeftOut, row, what);
                continue;
            };
            if endpoints.entry(id).or_default().insert(endpoint, status).is_some() {
                let what = format!("a further row of subcloud {id} for {endpoint}; the newest is kept");
                self.report.find(Kind::Duplicate, row, what);
            }
        }
        endpoints
    }

    fn alarms(&mut self) -> BTreeMap<String, (AlarmRow, AlarmSummary)> {
        let mut alarms = BTreeMap::new();
        for row in self.snapshot.table(ALARMS) {
            let counts = self.alarm_counts(row);
            let Some(summary) = self.report.keep(counts) else { continue };
            let Some(name) = row.text("name") else {
                self.report.find(Kind::LeftOut, row, "it belongs to no subcloud");
                continue;
            };
            let place = AlarmRow { id: row.id, uuid: row.text("uuid").map(str::to_owned) };
            alarms.insert(name.to_owned(), (place, summary));
        }
        alarms
    }

    fn alarm_counts(&mut self, row: &Row) -> Result<AlarmSummary, Unusable> {
        let cloud_status = row.text("cloud_status").unwrap_or_else(|| {
            self.report.find(Kind::Null, row, "cloud_status is null; disabled is shown");
            "disabled"
        });
        let mut count = |column| match row.number(column)? {
            Some(count) => Ok(count),
            None => {
                self.report.find(Kind::Null, row, format!("{column} is null; -1 is shown, not known"));
                Ok(-1)
            }
        };
        Ok(AlarmSummary {
            critical_alarms: count("critical_alarms")?,
            major_alarms: count("major_alarms")?,
            minor_alarms: count("minor_alarms")?,
            warnings: count("warnings")?,
            cloud_status: cloud_status.to_owned(),
        })
    }

    /// Says of each subcloud what is inconsistent about it.
    pub fn examine(&mut self, subclouds: &[SubcloudToImport]) {
        let mut regions: BTreeMap<&str, i64> = BTreeMap::new();
        let groups = self.ids_of(crate::import::tables::GROUPS);
        let peer_groups = self.ids_of(crate::import::tables::PEER_GROUPS);
        for subcloud in subclouds {
            let row = &subcloud.row;
            let mut found = Vec::new();
            if let Some(first) = regions.get(row.region.as_ref()) {
                found.push((
                    Kind::Duplicate,
                    format!("the region {} is also that of subcloud {first}", row.region),
                ));
            } else {
                regions.insert(row.region.as_ref(), row.id);
            }
            if !row.nulls.contains(&NullColumn::GroupId) && !groups.contains(&row.group_id) {
                found.push((Kind::Dangling, format!("there is no group {}", row.group_id)));
            }
            if let Some(id) = row.peer_group_id.filter(|id| !peer_groups.contains(id)) {
                found.push((Kind::Dangling, format!("there is no peer group {id}")));
            }
            if !row.nulls.is_empty() {
                found.push((Kind::Null, format!("null: {}", names(&row.nulls))));
            }
            if Subnet::parse(&row.network.subnet).is_err() {
                found.push((Kind::Odd, format!("the subnet {:?} cannot be read", row.network.subnet)));
            }
            if RecoverImported::would_change(row) {
                let backup = row.backup.map_or_else(|| "none".to_owned(), |status| status.to_string());
                found.push((Kind::Transitory, format!("deploy {}, backup {backup}", row.deploy)));
            }
            self.report.findings.extend(found.into_iter().map(|(kind, text)| {
                crate::import::report::Finding { kind, table: SUBCLOUDS, row: row.id, text }
            }));
        }
        self.overlaps(subclouds);
    }

    /// Overlapping subnets: each is named with the one before it that reaches furthest.
    fn overlaps(&mut self, subclouds: &[SubcloudToImport]) {
        let mut nets: Vec<(ipnet::IpNet, i64)> = subclouds
            .iter()
            .filter_map(|subcloud| Some((subcloud.row.network.subnet.parse().ok()?, subcloud.row.id)))
            .collect();
        nets.sort_by_key(|(net, id)| (net.network(), net.prefix_len(), *id));
        let mut furthest: Option<(ipnet::IpNet, i64)> = None;
        for (net, id) in nets {
            match furthest {
                // Every IPv4 address orders before every IPv6 address.
                Some((reach, other)) if net.network() <= reach.broadcast() => {
                    let text = format!("{net} shares addresses with {reach} of subcloud {other}");
                    let finding = crate::import::report::Finding {
                        kind: Kind::Overlap,
                        table: SUBCLOUDS,
                        row: id,
                        text,
                    };
                    self.report.findings.push(finding);
                    if net.broadcast() > reach.broadcast() {
                        furthest = Some((net, id));
                    }
                }
                _ => furthest = Some((net, id)),
            }
        }
    }
}

fn name(row: &Row) -> Result<Name, Unusable> {
    let unusable = || row.unusable("name", "is empty, longer than its column or holds control characters");
    Name::imported(row.some_text("name")?).ok_or_else(unusable)
}

fn origin(row: &Row, owner: Uuid, purpose: &'static str) -> Origin {
    Origin { owner, table: row.table, row: row.id, purpose }
}

fn text(row: &Row, column: &'static str, null: NullColumn, nulls: &mut BTreeSet<NullColumn>) -> String {
    row.text(column).map(str::to_owned).unwrap_or_else(|| {
        nulls.insert(null);
        String::new()
    })
}

fn address_in(payload: &dcm_domain::validate::Map) -> Option<String> {
    payload.get("bootstrap-address")?.as_str().filter(|address| !address.is_empty()).map(str::to_owned)
}

fn names(nulls: &BTreeSet<NullColumn>) -> String {
    let name = |null: &NullColumn| serde_json::to_value(null).ok()?.as_str().map(str::to_owned);
    nulls.iter().filter_map(name).collect::<Vec<_>>().join(", ")
}
