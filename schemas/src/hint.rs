//! Messages that follow from events: job hints for workers, and the notifications that the old system sent
//! (access.md §12.4).
//!
//! They are hints: the journal says what is so. Their ids follow from the event's, so that one sent twice is one.

use dcm_domain::subcloud::{DeployRunRequested, NetworkUpdated, RunKind, SubcloudEvent};
use dcm_domain::value::{Availability, Phase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    Envelope, Recorded, cloudevents, json_schema,
    registry::{self, Unreadable},
    subjects,
};

/// Port and path of the platform inventory of a subcloud (access.md §12.4).
const SYSINV: &str = "6386/v1";

/// A run waits for a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeployHint {
    /// Uuid of the subcloud, and of its stream.
    pub subcloud: Uuid,
    /// Its region.
    pub region: String,
    /// The run.
    pub run_id: Uuid,
    /// What to do, in order; empty for what has no phases.
    pub phases: Vec<Phase>,
}

/// Something happened to a subcloud that its certificate monitor wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubcloudNotice {
    /// The region name, called so as in the old system (access.md §12.4).
    pub subcloud_name: String,
}

/// The platform inventory of a subcloud has another address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointNotice {
    /// The region name, called so as in the old system (access.md §12.4).
    pub subcloud_name: String,
    /// The new URL: `https://<management address>:6386/v1`.
    pub endpoint: String,
}

/// Which stream of the bus a hint goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `DCM_JOBS`: each goes to one worker.
    Job,
    /// `DCM_NOTIFY`: each goes to everybody who wants it.
    Notify,
}

impl Family {
    /// The word in types and file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Notify => "notify",
        }
    }
}

/// One kind of hint.
#[derive(Debug)]
pub struct HintType {
    /// Where it goes.
    pub family: Family,
    /// Last token of its subject.
    pub kind: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// JSON Schema of its payload.
    pub schema: fn() -> Value,
}

impl HintType {
    /// Its subject.
    pub fn subject(&self) -> String {
        match self.family {
            Family::Job => subjects::job(self.kind),
            Family::Notify => subjects::notify(self.kind),
        }
    }
}

/// The hint for runs of a kind.
const fn waits(kind: RunKind, meaning: &'static str) -> HintType {
    HintType { family: Family::Job, kind: kind.as_str(), meaning, schema: json_schema::of::<DeployHint> }
}

const fn notice(kind: &'static str, meaning: &'static str, schema: fn() -> Value) -> HintType {
    HintType { family: Family::Notify, kind, meaning, schema }
}

/// A deployment run was asked for.
pub const DEPLOY: HintType = waits(RunKind::Deploy, "A deployment run waits for a worker.");
/// A subcloud is to be taken over from another controller.
pub const REHOME: HintType = waits(RunKind::Rehome, "A run that takes a subcloud over waits for a worker.");
/// A release is to be brought onto a subcloud.
pub const PRESTAGE: HintType = waits(RunKind::Prestage, "A prestage run waits for a worker.");
/// A subcloud is to be restored.
pub const RESTORE: HintType = waits(RunKind::Restore, "A restore run waits for a worker.");
/// A subcloud is to be moved to another network.
pub const NETWORK_RECONFIGURATION: HintType =
    waits(RunKind::NetworkReconfiguration, "A network reconfiguration waits for a worker.");
/// A subcloud is to be backed up.
pub const BACKUP: HintType = waits(RunKind::Backup, "A backup run waits for a worker.");
/// A subcloud came online.
pub const SUBCLOUD_ONLINE: HintType = notice(
    "subcloud-online",
    "The availability of a subcloud changed to online.",
    json_schema::of::<SubcloudNotice>,
);
/// A subcloud was taken under management.
pub const SUBCLOUD_MANAGED: HintType =
    notice("subcloud-managed", "A subcloud was taken under management.", json_schema::of::<SubcloudNotice>);
/// A subcloud is reached over other addresses.
pub const SYSINV_ENDPOINT_UPDATE: HintType = notice(
    "subcloud-sysinv-endpoint-update",
    "The management network of a subcloud was reconfigured.",
    json_schema::of::<EndpointNotice>,
);

/// Every kind of hint.
pub const ALL: &[HintType] = &[
    DEPLOY,
    REHOME,
    PRESTAGE,
    RESTORE,
    NETWORK_RECONFIGURATION,
    BACKUP,
    SUBCLOUD_ONLINE,
    SUBCLOUD_MANAGED,
    SYSINV_ENDPOINT_UPDATE,
];

/// The hint for a kind of run.
const fn job(kind: RunKind) -> &'static HintType {
    match kind {
        RunKind::Deploy => &DEPLOY,
        RunKind::Rehome => &REHOME,
        RunKind::Prestage => &PRESTAGE,
        RunKind::Restore => &RESTORE,
        RunKind::NetworkReconfiguration => &NETWORK_RECONFIGURATION,
        RunKind::Backup => &BACKUP,
    }
}

/// A hint to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// Where it goes.
    pub family: Family,
    /// Its subject.
    pub subject: String,
    /// Its message id: the same event and kind give the same.
    pub id: Uuid,
    /// Its headers.
    pub headers: cloudevents::Headers,
    /// Its payload, JSON.
    pub payload: Vec<u8>,
}

/// The hint that follows from an event of a subcloud in `region`, if one does.
///
/// # Errors
/// [`Unreadable`] if the event is of a kind that has one, but cannot be read.
pub fn of(recorded: &Recorded, region: &str) -> Result<Option<Hint>, Unreadable> {
    let envelope = &recorded.envelope;
    let Some(subcloud) = envelope.stream.uuid().filter(|_| may_have_one(envelope)) else { return Ok(None) };
    let notice = || SubcloudNotice { subcloud_name: region.to_owned() };
    Ok(match registry::decode::<SubcloudEvent>(envelope)? {
        SubcloudEvent::DeployRunRequested(requested) => {
            let DeployRunRequested { run_id, phases, .. } = *requested;
            let kind = job(RunKind::of(&phases));
            let hint = DeployHint { subcloud, region: region.to_owned(), run_id, phases };
            Some(hint_of(kind, recorded, &hint))
        }
        SubcloudEvent::BackupRunRequested(requested) => {
            let hint = DeployHint {
                subcloud,
                region: region.to_owned(),
                run_id: requested.run_id,
                phases: Vec::new(),
            };
            Some(hint_of(job(RunKind::Backup), recorded, &hint))
        }
        SubcloudEvent::AvailabilityChanged(changed) if changed.to == Availability::Online => {
            Some(hint_of(&SUBCLOUD_ONLINE, recorded, &notice()))
        }
        SubcloudEvent::SubcloudManaged(_) => Some(hint_of(&SUBCLOUD_MANAGED, recorded, &notice())),
        SubcloudEvent::NetworkUpdated(updated) => {
            let endpoint = sysinv_endpoint(&updated);
            let notice = EndpointNotice { subcloud_name: region.to_owned(), endpoint };
            Some(hint_of(&SYSINV_ENDPOINT_UPDATE, recorded, &notice))
        }
        _ => None,
    })
}

/// Spares the other events from being read.
fn may_have_one(envelope: &Envelope) -> bool {
    let names = [
        "DeployRunRequested",
        "BackupRunRequested",
        "AvailabilityChanged",
        "SubcloudManaged",
        "NetworkUpdated",
    ];
    subjects::aggregate(&envelope.stream) == subjects::SUBCLOUD && names.contains(&envelope.r#type.as_str())
}

fn hint_of<T: Serialize>(kind: &HintType, cause: &Recorded, payload: &T) -> Hint {
    let id = derived_id(cause.envelope.id, kind);
    let headers =
        cloudevents::hint_headers(id, cloudevents::hint_type(kind.family.as_str(), kind.kind), cause);
    // A struct of texts always has a JSON form.
    let payload = serde_json::to_vec(payload).unwrap_or_default();
    Hint { family: kind.family, subject: kind.subject(), id, headers, payload }
}

fn sysinv_endpoint(updated: &NetworkUpdated) -> String {
    let address = &updated.network.start_ip;
    match address.contains(':') {
        true => format!("https://[{address}]:{SYSINV}"),
        false => format!("https://{address}:{SYSINV}"),
    }
}

fn derived_id(event: Uuid, kind: &HintType) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(event.as_bytes());
    hash.update(kind.subject());
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = from;
    }
    Uuid::new_v8(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use dcm_domain::subcloud::{
        AvailabilityChanged, ManagementNetwork, RunInputs, SubcloudManaged, SubcloudUnmanaged,
    };
    use dcm_domain::value::{Actor, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::{JournalId, Position, StreamId};

    fn recorded(event: impl Into<SubcloudEvent>) -> Recorded {
        let encoded = registry::encode(&event.into()).unwrap();
        let envelope = Envelope {
            id: Uuid::from_u128(1),
            r#type: encoded.name,
            version: encoded.version,
            stream: StreamId::aggregate("subcloud", Uuid::from_u128(2)),
            revision: 3,
            recorded_at: Timestamp::from_micros(0),
            actor: Actor::system("test"),
            request_id: None,
            correlation_id: Uuid::nil(),
            causation_id: None,
            command_id: Uuid::nil(),
            traceparent: None,
            command: None,
            data: encoded.data,
            hash: String::new(),
        };
        let position = Position { journal: JournalId(Uuid::nil()), order: 9 };
        Recorded { position, body: envelope.body(), envelope }
    }

    fn network(start_ip: &str) -> NetworkUpdated {
        let address = || start_ip.to_owned();
        let network = ManagementNetwork {
            subnet: "fd01::/64".to_owned(),
            start_ip: address(),
            end_ip: address(),
            gateway_ip: address(),
        };
        NetworkUpdated { network, systemcontroller_gateway_ip: address() }
    }

    #[test]
    fn ac_082_new_addresses_are_told_with_the_new_endpoint() {
        for (address, endpoint) in
            [("fd01::2", "https://[fd01::2]:6386/v1"), ("10.0.0.2", "https://10.0.0.2:6386/v1")]
        {
            let hint = of(&recorded(network(address)), "r.1").unwrap().unwrap();
            assert_eq!(hint.subject, "dcm.v1.notify.subcloud-sysinv-endpoint-update");
            let payload: Value = serde_json::from_slice(&hint.payload).unwrap();
            assert_eq!(payload, json!({"subcloud_name": "r.1", "endpoint": endpoint}));
        }
    }

    #[test]
    fn ac_080_coming_online_is_told_by_region() {
        let online = AvailabilityChanged { from: Availability::Offline, to: Availability::Online };
        let hint = of(&recorded(online), "r.1").unwrap().unwrap();
        assert_eq!((hint.family, hint.subject.as_str()), (Family::Notify, "dcm.v1.notify.subcloud-online"));
        assert_eq!(hint.payload, br#"{"subcloud_name":"r.1"}"#);
    }

    #[test]
    fn ac_081_being_managed_is_told_by_region_under_one_id() {
        let managed = of(&recorded(SubcloudManaged { forced: false }), "r.1").unwrap().unwrap();
        assert_eq!(managed.subject, "dcm.v1.notify.subcloud-managed");
        assert_eq!(managed.payload, br#"{"subcloud_name":"r.1"}"#);
        assert_eq!(Some(managed), of(&recorded(SubcloudManaged { forced: true }), "r.1").unwrap());
    }

    #[test]
    fn a_requested_run_is_hinted_without_its_inputs() {
        let run_id = Uuid::from_u128(4);
        let requested =
            DeployRunRequested { run_id, phases: vec![Phase::Create], inputs: RunInputs::default() };
        let hint = of(&recorded(requested), "r.1").unwrap().unwrap();
        assert_eq!((hint.family, hint.subject.as_str()), (Family::Job, "dcm.v1.job.deploy"));
        let expected = DeployHint {
            subcloud: Uuid::from_u128(2),
            region: "r.1".to_owned(),
            run_id,
            phases: vec![Phase::Create],
        };
        assert_eq!(serde_json::from_slice::<DeployHint>(&hint.payload).unwrap(), expected);
    }

    #[test]
    fn other_events_have_none_and_unreadable_ones_say_so() {
        let offline = AvailabilityChanged { from: Availability::Online, to: Availability::Offline };
        assert_eq!(of(&recorded(offline), "r.1").unwrap(), None);
        assert_eq!(of(&recorded(SubcloudUnmanaged { migrate: true }), "r.1").unwrap(), None);
        let mut newer = recorded(SubcloudManaged { forced: false });
        newer.envelope.version = 9;
        assert!(of(&newer, "r.1").is_err());
    }
}
