//! Fleets of any size as files that `dcm journal import` reads: subclouds as they are taken over from an existing
//! installation, and what commands did to them since.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use dcm_domain::aggregate::{Aggregate, Command, Facts};
use dcm_domain::directory::{Directory, DirectoryEvent, EntryImported};
use dcm_domain::group::DEFAULT_GROUP_ID;
use dcm_domain::subcloud::command::{ManageSubcloud, UnmanageSubcloud};
use dcm_domain::subcloud::{ImportedSubcloud, ManagementNetwork, Subcloud, SubcloudEvent, SubcloudImported};
use dcm_domain::value::{
    Actor, Availability, DeployStatus, Endpoint, ManagementState, Name, Region, Subnet, SyncStatus, Timestamp,
};
use dcm_schemas::{CommandRecord, Envelope, StreamId, registry};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// How many subclouds; managed, online, complete and in sync.
    pub subclouds: usize,
    /// How often each was then released and taken back: four events each time.
    pub turns: usize,
}

/// Writes a plan's events.
pub fn write(plan: Plan, to: &Path) {
    let mut out =
        Out { file: BufWriter::new(File::create(to).expect("create the file of a fleet")), order: 0 };
    let head = json!({"format": "dcm-journal", "version": 1, "journal": id(0, 0), "after": 0});
    writeln!(out.file, "{head}").expect("write the file of a fleet");
    let mut directory = Stream::new(Directory::STREAM.parse().expect("the directory's stream"));
    for number in 1..=plan.subclouds {
        let row = row(number);
        let entry = EntryImported {
            entity: id(1, number),
            id: row.id,
            name: row.name.clone(),
            region: row.region.clone(),
            subnet: Some(Subnet::parse(&row.network.subnet).expect("a subnet")),
            group_id: row.group_id,
            at: time(0),
        };
        directory.append::<Directory>(&mut out, vec![DirectoryEvent::EntryImported(entry)], "ImportEntries");
        let mut stream = Stream::new(StreamId::aggregate(Subcloud::KIND, id(1, number)));
        let imported = vec![SubcloudEvent::from(SubcloudImported { row })];
        let mut state = stream.fold(&mut out, None, imported, "ImportSubcloud");
        for _ in 0..plan.turns {
            let release = UnmanageSubcloud { migrate: true, ..UnmanageSubcloud::default() };
            state = stream.command(&mut out, state, &release);
            state = stream.command(&mut out, state, &ManageSubcloud::default());
        }
    }
    out.file.flush().expect("write the file of a fleet");
}

/// The uuid of a subcloud of any plan.
pub fn entity(number: usize) -> Uuid {
    id(1, number)
}

struct Out {
    file: BufWriter<File>,
    order: u64,
}

/// A stream that is being written.
struct Stream {
    id: StreamId,
    revision: u64,
    hash: Option<String>,
}

impl Stream {
    fn new(id: StreamId) -> Self {
        Self { id, revision: 0, hash: None }
    }

    fn command<C>(&mut self, out: &mut Out, state: Option<Subcloud>, command: &C) -> Option<Subcloud>
    where
        C: Command<Subcloud>,
    {
        let events = command.decide(state.as_ref(), &Facts { now: time(self.revision) });
        self.fold(out, state, events.expect("the command is in its place"), C::NAME)
    }

    fn fold(
        &mut self,
        out: &mut Out,
        state: Option<Subcloud>,
        events: Vec<SubcloudEvent>,
        command: &str,
    ) -> Option<Subcloud> {
        let folded = events.iter().fold(state, |state, event| {
            Some(Subcloud::evolve(state, event).expect("the events follow one another"))
        });
        self.append::<Subcloud>(out, events, command);
        folded
    }

    fn append<A: Aggregate>(&mut self, out: &mut Out, events: Vec<A::Event>, command: &str) {
        let at = time(self.revision);
        let record = CommandRecord {
            name: command.to_owned(),
            version: 1,
            arguments: json!({}),
            facts: json!({"now": at}),
            fingerprint: hex::encode([7; 32]),
        };
        let mut record = Some(record);
        let command_id = Uuid::from_u128(u128::from(out.order) << 32);
        for event in events {
            let encoded = registry::encode(&event).expect("an event has a JSON form");
            let envelope = Envelope {
                id: Uuid::from_u128(1 << 120 | u128::from(out.order)),
                r#type: encoded.name,
                version: encoded.version,
                stream: self.id.clone(),
                revision: self.revision,
                recorded_at: at,
                actor: Actor::system("bench"),
                request_id: None,
                correlation_id: command_id,
                causation_id: None,
                command_id,
                traceparent: None,
                command: record.take(),
                data: encoded.data,
                hash: String::new(),
            };
            let envelope = envelope.seal(self.hash.as_deref());
            self.revision += 1;
            self.hash = Some(envelope.hash.clone());
            out.write(envelope);
        }
    }
}

impl Out {
    fn write(&mut self, event: Envelope) {
        #[derive(Serialize)]
        struct Line {
            order: u64,
            after: u64,
            event: Envelope,
        }
        let after = self.order;
        self.order += 1;
        let line = serde_json::to_string(&Line { order: self.order, after, event });
        writeln!(self.file, "{}", line.expect("an event has a JSON form"))
            .expect("write the file of a fleet");
    }
}

fn id(kind: u128, number: usize) -> Uuid {
    Uuid::from_u128(kind << 64 | 8 << 76 | u128::try_from(number).expect("a small number"))
}

fn time(revision: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + i64::try_from(revision).expect("a small number"))
}

fn row(number: usize) -> ImportedSubcloud {
    let (high, low) = (number / 256, number % 256);
    let net = format!("10.{}.{}", high % 256, low);
    // Beyond 65,536 the third byte is full: subnets get narrower, and do not overlap.
    let last = (high / 256) * 32;
    ImportedSubcloud {
        id: i64::try_from(number).expect("a small number"),
        name: Name::parse(&format!("subcloud{number}")).expect("a name"),
        region: Region::parse(&format!("{number:032x}")).expect("a region"),
        description: None,
        location: None,
        software_version: "24.09".to_owned(),
        management: ManagementState::Managed,
        availability: Availability::Online,
        deploy: DeployStatus::Complete,
        backup: None,
        backup_datetime: None,
        error_description: "No errors present".to_owned(),
        network: ManagementNetwork {
            subnet: format!("{net}.{last}/27"),
            start_ip: format!("{net}.{}", last + 2),
            end_ip: format!("{net}.{}", last + 30),
            gateway_ip: format!("{net}.{}", last + 1),
        },
        systemcontroller_gateway_ip: "192.168.204.101".to_owned(),
        group_id: DEFAULT_GROUP_ID,
        peer_group_id: None,
        openstack_installed: false,
        install: None,
        data_upgrade: None,
        rehome: None,
        bootstrap: None,
        bootstrap_address: None,
        deploy_config: None,
        initial_deployment: true,
        endpoints: Endpoint::DEFAULT
            .map(|endpoint| (endpoint, SyncStatus::InSync))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        audit_fail_count: 0,
        first_identity_sync_complete: true,
        alarms: None,
        alarm_row: None,
        created_at: Some(time(0)),
        updated_at: Some(time(0)),
        nulls: std::collections::BTreeSet::new(),
    }
}
