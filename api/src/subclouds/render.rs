//! SUBCLOUD and what each answer adds to it (subclouds.md §3.2, §3.3). The structs are also its description.

use dcm_domain::subcloud::{Document, NullColumn, Subcloud};
use dcm_domain::value::{SyncStatus, Timestamp};
use dcm_projections::SubcloudRow;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::advice::with_advice;

/// What stands before the entries of a list.
pub const LIST_HEAD: &[u8] = br#"{"subclouds":["#;
/// What stands behind them.
pub const LIST_TAIL: &[u8] = b"]}";

/// Which of the contract's two forms times have (subclouds.md §1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// `2023-11-06 14:28:04.123456`: reads, and answers that did not pass the old manager.
    Blank,
    /// `2023-11-06T14:28:04.123456`: E6, E15, E19.
    T,
}

impl TimeForm {
    fn show(self, at: Timestamp) -> String {
        match self {
            Self::Blank => at.blank_separated(),
            Self::T => at.t_separated(),
        }
    }
}

/// When a subcloud was added and last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it was added.
    pub created_at: Timestamp,
    /// When its row last changed; `None` since it was added.
    pub updated_at: Option<Timestamp>,
}

impl From<&SubcloudRow> for Times {
    fn from(row: &SubcloudRow) -> Self {
        Self { created_at: row.created_at, updated_at: row.updated_at }
    }
}

/// A subcloud: one edge site.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Subcloud)]
#[serde(rename_all = "kebab-case")]
pub struct SubcloudBody {
    /// Small integer, unique among living subclouds.
    #[schema(example = 1)]
    pub id: i64,
    /// Unique name.
    #[schema(example = "subcloud1")]
    pub name: String,
    /// Free text.
    #[schema(required)]
    pub description: Option<String>,
    /// Free text.
    #[schema(required)]
    pub location: Option<String>,
    /// Release it runs, or is deployed with.
    #[schema(required, example = "22.12")]
    pub software_version: Option<String>,
    /// `managed` or `unmanaged`.
    #[schema(example = "unmanaged")]
    pub management_state: &'static str,
    /// `online` or `offline`.
    #[schema(example = "online")]
    pub availability_status: &'static str,
    /// Where its deployment stands.
    #[schema(example = "complete")]
    pub deploy_status: &'static str,
    /// Where its backup stands; null before the first one.
    #[schema(required)]
    pub backup_status: Option<&'static str>,
    /// When the last good backup was stored.
    #[schema(required)]
    pub backup_datetime: Option<String>,
    /// What went wrong last, with advice.
    #[schema(example = "No errors present")]
    pub error_description: String,
    /// Keystone region; absent where one subcloud is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_name: Option<String>,
    /// Management or admin subnet.
    #[schema(required, example = "192.168.101.0/24")]
    pub management_subnet: Option<String>,
    /// First address of its pool.
    #[schema(required, example = "192.168.101.2")]
    pub management_start_ip: Option<String>,
    /// Last address of its pool.
    #[schema(required, example = "192.168.101.50")]
    pub management_end_ip: Option<String>,
    /// Its gateway.
    #[schema(required, example = "192.168.101.1")]
    pub management_gateway_ip: Option<String>,
    /// Whether OpenStack was reported installed.
    pub openstack_installed: bool,
    /// Gateway on the controller's side.
    #[schema(required, example = "192.168.204.101")]
    pub systemcontroller_gateway_ip: Option<String>,
    /// Install values as JSON text, passwords as `***`.
    #[serde(rename = "data_install")]
    #[schema(required)]
    pub data_install: Option<String>,
    /// What an interrupted upgrade had stored before the subcloud was taken over, as JSON text.
    #[serde(rename = "data_upgrade")]
    #[schema(required)]
    pub data_upgrade: Option<String>,
    /// When it was added, in UTC.
    #[schema(required, example = "2023-11-06 14:28:04.123456")]
    pub created_at: Option<String>,
    /// When it last changed, in UTC.
    #[schema(required)]
    pub updated_at: Option<String>,
    /// Group it belongs to.
    #[serde(rename = "group_id")]
    #[schema(required, example = 1)]
    pub group_id: Option<i64>,
    /// Peer group it belongs to.
    #[serde(rename = "peer_group_id")]
    #[schema(required)]
    pub peer_group_id: Option<i64>,
    /// What another controller needs to rehome it, as JSON text `{"saved_payload": …}`, passwords as `***`.
    #[serde(rename = "rehome_data")]
    #[schema(required)]
    pub rehome_data: Option<String>,
}

/// What is known of one endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EndpointStatus {
    /// Endpoint type.
    #[schema(example = "dc-cert")]
    pub endpoint_type: &'static str,
    /// `unknown`, `in-sync` or `out-of-sync`.
    #[schema(example = "in-sync")]
    pub sync_status: &'static str,
}

/// An entry of the list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ListedSubcloud {
    /// The subcloud.
    #[serde(flatten)]
    pub subcloud: SubcloudBody,
    /// Its id again; 0 if it has no endpoint.
    pub subcloud_id: i64,
    /// What all endpoints have in common; `out-of-sync` if they differ in any way.
    #[schema(example = "in-sync")]
    pub sync_status: &'static str,
    /// The endpoints, by type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_sync_status: Option<Vec<EndpointStatus>>,
}

/// The list of subclouds, by id.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SubcloudList {
    /// The entries.
    pub subclouds: Vec<ListedSubcloud>,
}

/// The subclouds of a group or peer group, by id.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MemberList {
    /// The entries.
    pub subclouds: Vec<SubcloudBody>,
}

/// One subcloud, shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ShownSubcloud {
    /// The subcloud, without its region.
    #[serde(flatten)]
    pub subcloud: SubcloudBody,
    /// The endpoints, by type.
    pub endpoint_sync_status: Vec<EndpointStatus>,
}

/// A subcloud that is being prestaged.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PrestagedSubcloud {
    /// The subcloud.
    #[serde(flatten)]
    pub subcloud: SubcloudBody,
    /// The release that is being prestaged.
    #[schema(example = "22.12")]
    pub prestage_software_version: String,
}

/// One subcloud with what its own region says.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DetailedSubcloud {
    /// The subcloud, shown.
    #[serde(flatten)]
    pub subcloud: ShownSubcloud,
    /// Floating OAM address, or `unavailable`.
    #[schema(example = "unavailable")]
    pub oam_floating_ip: String,
    /// Whether its configuration is the one that was deployed, or `unknown`.
    #[schema(example = "unknown")]
    pub deploy_config_sync_status: String,
    /// Keystone region.
    pub region_name: String,
}

/// SUBCLOUD, all 25 keys in the contract's order: the answer to writes.
pub fn subcloud(subcloud: &Subcloud, times: Times, form: TimeForm) -> Map<String, Value> {
    match serde_json::to_value(body(subcloud, times, form)) {
        Ok(Value::Object(map)) => map,
        // A struct with text keys is always an object.
        _ => Map::new(),
    }
}

/// SUBCLOUD as an entry of [`MemberList`] (fleet.md §1.1).
pub fn member(row: &SubcloudRow) -> SubcloudBody {
    body(&row.subcloud, row.into(), TimeForm::Blank)
}

/// One entry of the list, as JSON.
pub fn listed(row: &SubcloudRow) -> Vec<u8> {
    json_of(&entry(row))
}

/// One entry of the list with its region as its name: what cert-mon is given (subclouds.md §6.1).
pub fn listed_by_region(row: &SubcloudRow) -> Vec<u8> {
    let mut entry = entry(row);
    entry.subcloud.name = row.subcloud.region.to_string();
    json_of(&entry)
}

/// The answer of E3 for a subcloud.
pub fn shown(subcloud: &Subcloud, times: Times) -> ShownSubcloud {
    let body = SubcloudBody { region_name: None, ..advised(subcloud, times) };
    ShownSubcloud { subcloud: body, endpoint_sync_status: endpoints(subcloud) }
}

/// The answer of E3 for a row, as it is sent.
pub fn shown_row(row: &SubcloudRow) -> Vec<u8> {
    json_of(&shown(&row.subcloud, row.into()))
}

/// What a subcloud's own region says of it; nothing, while it cannot be asked.
#[derive(Clone, Debug, Default)]
pub struct OwnSide {
    /// Its floating OAM address.
    pub oam_floating_ip: Option<String>,
    /// Whether its configuration is not the one that was deployed.
    pub out_of_date: Option<bool>,
}

/// The answer of E4 (subclouds.md §6.2, Q16).
pub fn detailed(subcloud: &Subcloud, times: Times, own: OwnSide) -> DetailedSubcloud {
    let deploy_config_sync_status = match own.out_of_date {
        Some(true) => "Deployment: configurations out-of-date",
        Some(false) => "Deployment: configurations up-to-date",
        None => SyncStatus::Unknown.as_str(),
    };
    DetailedSubcloud {
        subcloud: shown(subcloud, times),
        oam_floating_ip: own.oam_floating_ip.unwrap_or_else(|| "unavailable".to_owned()),
        deploy_config_sync_status: deploy_config_sync_status.to_owned(),
        region_name: subcloud.region.to_string(),
    }
}

fn entry(row: &SubcloudRow) -> ListedSubcloud {
    let endpoints = endpoints(&row.subcloud);
    let any = !endpoints.is_empty();
    ListedSubcloud {
        subcloud: advised(&row.subcloud, row.into()),
        subcloud_id: if any { row.subcloud.id } else { 0 },
        sync_status: row.sync_status().as_str(),
        endpoint_sync_status: any.then_some(endpoints),
    }
}

fn endpoints(subcloud: &Subcloud) -> Vec<EndpointStatus> {
    let mut endpoints: Vec<_> = subcloud
        .endpoints
        .iter()
        .map(|(endpoint, status)| EndpointStatus {
            endpoint_type: endpoint.as_str(),
            sync_status: status.as_str(),
        })
        .collect();
    endpoints.sort_by_key(|endpoint| endpoint.endpoint_type);
    endpoints
}

/// SUBCLOUD as reads show it: with advice on its last error.
fn advised(subcloud: &Subcloud, times: Times) -> SubcloudBody {
    let error_description = with_advice(&subcloud.error_description, subcloud.deploy);
    SubcloudBody { error_description, ..body(subcloud, times, TimeForm::Blank) }
}

fn body(subcloud: &Subcloud, times: Times, form: TimeForm) -> SubcloudBody {
    let null = |column| subcloud.nulls.contains(&column);
    let text = |column, value| subcloud.unless_null(column, value).map(str::to_owned);
    SubcloudBody {
        id: subcloud.id,
        name: subcloud.name.to_string(),
        description: subcloud.description.clone(),
        location: subcloud.location.clone(),
        software_version: text(NullColumn::SoftwareVersion, &subcloud.software_version),
        management_state: subcloud.management.as_str(),
        availability_status: subcloud.availability.as_str(),
        deploy_status: subcloud.deploy.as_str(),
        backup_status: subcloud.backup.map(|status| status.as_str()),
        backup_datetime: subcloud.backup_datetime.map(|at| form.show(at)),
        error_description: subcloud.error_description.clone(),
        region_name: Some(subcloud.region.to_string()),
        management_subnet: text(NullColumn::ManagementSubnet, &subcloud.network.subnet),
        management_start_ip: text(NullColumn::ManagementStartIp, &subcloud.network.start_ip),
        management_end_ip: text(NullColumn::ManagementEndIp, &subcloud.network.end_ip),
        management_gateway_ip: text(NullColumn::ManagementGatewayIp, &subcloud.network.gateway_ip),
        openstack_installed: subcloud.openstack_installed,
        systemcontroller_gateway_ip: text(
            NullColumn::SystemcontrollerGatewayIp,
            &subcloud.systemcontroller_gateway_ip,
        ),
        data_install: subcloud.install.as_ref().and_then(Document::shown_text),
        data_upgrade: subcloud.data_upgrade.as_ref().and_then(Document::shown_text),
        created_at: (!null(NullColumn::CreatedAt)).then(|| form.show(times.created_at)),
        updated_at: times.updated_at.map(|at| form.show(at)),
        group_id: (subcloud.group_id != 0 || !null(NullColumn::GroupId)).then_some(subcloud.group_id),
        peer_group_id: subcloud.peer_group_id,
        rehome_data: subcloud.rehome.as_ref().and_then(Document::shown_rehome_text),
    }
}

fn json_of(value: &impl Serialize) -> Vec<u8> {
    // Texts and numbers under text keys always have a JSON form.
    serde_json::to_vec(value).unwrap_or_default()
}
