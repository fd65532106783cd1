//! Subclouds in the states the contract's tables speak of.

use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::command::{
    AddSubcloud, DeploySubcloud, DeployVerb, Details, NewAddresses, PrestageSubcloud, ReconfigureNetwork,
    RedeploySubcloud,
};
use dcm_domain::subcloud::{
    AvailabilityChanged, DeployRunClaimed, DeployRunRequested, DeployStatusChanged, Document,
    ManagementNetwork, NetworkTask, PrestageTask, RunInputs, Subcloud, SubcloudAdded, SubcloudEvent,
    SubcloudManaged, SubcloudUnmanaged, SyncStatusChanged, SyncStatusUnknown,
};
use dcm_domain::value::{
    Availability, DeployStatus, Endpoint, ManagementState, Name, Phase, Region, SecretRef, SyncStatus,
};
use serde_json::json;
use uuid::Uuid;

use crate::kit::{Given, given};

pub const RUN: Uuid = Uuid::from_u128(1);
pub const OTHER_RUN: Uuid = Uuid::from_u128(2);

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn document(digest: &str) -> Document {
    Document {
        secret: SecretRef(Uuid::from_u128(9)),
        digest: digest.to_owned(),
        shown: json!({"name": "subcloud1", "admin_password": "***", "ratio": 0.5, "list": [null, true, 7]}),
    }
}

pub fn network(subnet: &str) -> ManagementNetwork {
    ManagementNetwork {
        subnet: subnet.to_owned(),
        start_ip: "192.168.101.2".to_owned(),
        end_ip: "192.168.101.50".to_owned(),
        gateway_ip: "192.168.101.1".to_owned(),
    }
}

pub fn added() -> SubcloudAdded {
    SubcloudAdded {
        id: 1,
        name: name("subcloud1"),
        region: Region::parse("7d1c8e0a").unwrap(),
        description: None,
        location: None,
        software_version: "23.09".to_owned(),
        network: network("192.168.101.0/24"),
        systemcontroller_gateway_ip: "192.168.204.101".to_owned(),
        group_id: 1,
        install: None,
        bootstrap: Some(document("bootstrap")),
        bootstrap_address: Some("10.10.10.12".to_owned()),
        deploy_config: None,
        initial_deployment: true,
    }
}

pub fn requested(run_id: Uuid, phases: &[Phase]) -> DeployRunRequested {
    DeployRunRequested { run_id, phases: phases.to_vec(), inputs: RunInputs::default() }
}

pub fn add(phases: &[Phase]) -> AddSubcloud {
    AddSubcloud { subcloud: added(), run: requested(RUN, phases), claimed_by: None }
}

/// The verb with nothing sent but what any request has.
pub fn deploy(verb: DeployVerb) -> DeploySubcloud {
    DeploySubcloud {
        verb,
        run_id: RUN,
        inputs: RunInputs::default(),
        release: None,
        details: Details::default(),
        bootstrap: None,
        bootstrap_address: None,
        deploy_config: None,
        addresses: None,
    }
}

/// The whole deployment again with nothing sent but what any request has.
pub fn redeploy(run_id: Uuid) -> RedeploySubcloud {
    RedeploySubcloud {
        run_id,
        inputs: RunInputs::default(),
        release: "23.09".to_owned(),
        details: Details::default(),
        bootstrap: None,
        bootstrap_address: None,
        deploy_config: None,
        addresses: None,
    }
}

pub fn prestage(run_id: Uuid) -> PrestageSubcloud {
    let task = PrestageTask { release: "23.09".to_owned(), force: false };
    PrestageSubcloud { run_id, sysadmin_password: SecretRef(Uuid::from_u128(8)), task }
}

pub fn reconfigure(run_id: Uuid, to: ManagementNetwork) -> ReconfigureNetwork {
    let systemcontroller_gateway_ip = added().systemcontroller_gateway_ip;
    let task = NetworkTask {
        addresses: NewAddresses { network: to, systemcontroller_gateway_ip },
        bootstrap_address: "10.10.10.12".to_owned(),
        description: None,
        location: None,
        group_id: None,
        install: None,
    };
    ReconfigureNetwork { run_id, inputs: RunInputs::default(), task }
}

/// The network with this number: none of its addresses is another's.
pub fn net(number: u8) -> ManagementNetwork {
    let address = |last: &str| format!("10.{number}.0.{last}");
    ManagementNetwork {
        subnet: address("0/24"),
        start_ip: address("2"),
        end_ip: address("50"),
        gateway_ip: address("1"),
    }
}

/// The number of a network that [`net`] made; 0 for one without addresses.
pub fn number(network: &ManagementNetwork) -> u8 {
    network.subnet.split('.').nth(1).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Rehome data with an address.
pub fn rehome_data() -> Document {
    let shown = json!({"name": "subcloud1", "bootstrap-address": "10.10.10.12"});
    Document { shown, ..document("rehome") }
}

/// A deploy status change outside a run.
pub fn moved(from: DeployStatus, to: DeployStatus) -> SubcloudEvent {
    DeployStatusChanged { from, to, run_id: None, error: None }.into()
}

/// A deploy status change of [`RUN`].
pub fn ran(from: DeployStatus, to: DeployStatus, error: Option<&str>) -> SubcloudEvent {
    DeployStatusChanged { from, to, run_id: Some(RUN), error: error.map(str::to_owned) }.into()
}

pub fn online() -> SubcloudEvent {
    AvailabilityChanged { from: Availability::Offline, to: Availability::Online }.into()
}

pub fn offline() -> SubcloudEvent {
    AvailabilityChanged { from: Availability::Online, to: Availability::Offline }.into()
}

pub fn managed(forced: bool) -> SubcloudEvent {
    SubcloudManaged { forced }.into()
}

pub fn unmanaged(migrate: bool) -> SubcloudEvent {
    SubcloudUnmanaged { migrate }.into()
}

pub fn unknown(endpoints: &[Endpoint]) -> SubcloudEvent {
    SyncStatusUnknown { endpoints: endpoints.to_vec() }.into()
}

pub fn all_but_dc_cert() -> Vec<Endpoint> {
    Endpoint::DEFAULT.into_iter().filter(|endpoint| *endpoint != Endpoint::DcCert).collect()
}

pub fn claimed() -> SubcloudEvent {
    DeployRunClaimed { run_id: RUN, worker: "worker-1".to_owned() }.into()
}

/// Unmanaged, offline, `status`, nothing known of its endpoints, no run.
pub fn subcloud(status: DeployStatus) -> Given<Subcloud> {
    built(added(), status)
}

pub fn built(from: SubcloudAdded, status: DeployStatus) -> Given<Subcloud> {
    let moved = (status != DeployStatus::NotDeployed).then(|| moved(DeployStatus::NotDeployed, status));
    given::<Subcloud>([SubcloudEvent::from(from)].into_iter().chain(moved))
}

/// One of the states the decision table starts from; a managed one has every endpoint in-sync.
pub fn in_state(
    management: ManagementState,
    status: DeployStatus,
    availability: Availability,
) -> Given<Subcloud> {
    let mut events = Vec::new();
    if availability == Availability::Online {
        events.push(online());
    }
    if management == ManagementState::Managed {
        events.push(managed(true));
        events.extend(in_sync());
    }
    subcloud(status).and(events)
}

/// Every endpoint becomes in-sync.
pub fn in_sync() -> impl Iterator<Item = SubcloudEvent> {
    Endpoint::DEFAULT.into_iter().map(|endpoint| {
        SyncStatusChanged { endpoint, from: SyncStatus::Unknown, to: SyncStatus::InSync }.into()
    })
}

/// A run of `phases` that a worker has claimed, on a subcloud in `status`.
pub fn running(phases: &[Phase], status: DeployStatus) -> Given<Subcloud> {
    subcloud(status).and([requested(RUN, phases).into(), claimed()])
}

/// The statuses of the endpoints, told apart from `unknown`.
pub fn known(state: &Subcloud) -> Vec<Endpoint> {
    let known =
        |(endpoint, status): (&Endpoint, &SyncStatus)| (*status != SyncStatus::Unknown).then_some(*endpoint);
    state.endpoints.iter().filter_map(known).collect()
}

/// The whole stream told event by event through its stored form.
pub fn stored(events: &[SubcloudEvent]) -> Option<Subcloud> {
    events.iter().fold(None, |state, event| {
        let text = serde_json::to_string(event).unwrap();
        let read: SubcloudEvent = serde_json::from_str(&text).unwrap();
        assert_eq!(&read, event, "{text}");
        Some(Subcloud::evolve(state, &read).unwrap())
    })
}
