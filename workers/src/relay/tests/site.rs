//! A journal that ordinary commands write to.

use std::path::Path;
use std::sync::Arc;

use dcm_domain::subcloud::command::{AddSubcloud, ManageSubcloud, ReportAvailability, UnmanageSubcloud};
use dcm_domain::subcloud::{DeployRunRequested, RunInputs, SubcloudAdded};
use dcm_domain::value::{Actor, Availability, Name, Phase, Region};
use dcm_journal::fleet::{Claim, Fleet};
use dcm_journal::repository::Meta;
use dcm_journal::store::{self, Journal};
use serde_json::json;
use uuid::Uuid;

/// Events that [`Site::add`] writes: two of the directory around two of the subcloud.
pub const PER_ADD: u64 = 4;

pub struct Site {
    pub journal: Arc<dyn Journal>,
    fleet: Fleet,
    _directory: Option<tempfile::TempDir>,
}

impl Site {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let site = Self::at(directory.path()).await;
        Self { _directory: Some(directory), ..site }
    }

    pub async fn at(directory: &Path) -> Self {
        let journal = store::open("embedded:", directory).await.unwrap();
        let fleet = Fleet::new(&journal).unwrap();
        Self { journal, fleet, _directory: None }
    }

    pub async fn head(&self) -> u64 {
        self.journal.head().await.unwrap()
    }

    /// Adds the `n`th subcloud, in any region, with one run requested.
    pub async fn add(&self, n: u64, region: &str) -> Uuid {
        let region: Region = serde_json::from_value(json!(region)).unwrap();
        let name = Name::parse(&format!("subcloud{n}")).unwrap();
        let subnet = format!("10.{}.{}.0/24", n / 256, n % 256);
        let claim = Claim {
            entity: Uuid::now_v7(),
            name: name.clone(),
            region: region.clone(),
            subnet: subnet.parse().unwrap(),
            group_id: 1,
        };
        let entity = claim.entity;
        let run = DeployRunRequested {
            run_id: Uuid::now_v7(),
            phases: vec![Phase::Create],
            inputs: RunInputs::default(),
        };
        let subcloud =
            |id| AddSubcloud { subcloud: added(id, &name, &region, &subnet), run, claimed_by: None };
        self.fleet.add(claim, &meta(), subcloud).await.unwrap();
        entity
    }

    /// One event, and one notification.
    pub async fn manage(&self, entity: Uuid) {
        let command = ManageSubcloud { force: true, ..ManageSubcloud::default() };
        self.fleet.run(entity, &command, &meta()).await.unwrap();
    }

    /// One event.
    pub async fn unmanage(&self, entity: Uuid) {
        self.fleet.run(entity, &UnmanageSubcloud::default(), &meta()).await.unwrap();
    }

    /// One event, and one notification.
    pub async fn online(&self, entity: Uuid) {
        self.fleet.run(entity, &ReportAvailability { to: Availability::Online }, &meta()).await.unwrap();
    }

    pub async fn default_group(&self) {
        self.fleet.ensure_default_group(&meta()).await.unwrap();
    }
}

fn meta() -> Meta {
    Meta { request_id: Some("req 1".to_owned()), ..Meta::new(Actor::system("größe")) }
}

fn added(id: i64, name: &Name, region: &Region, subnet: &str) -> SubcloudAdded {
    serde_json::from_value(json!({
        "id": id,
        "name": name,
        "region": region,
        "software_version": "22.12",
        "network": {"subnet": subnet, "start_ip": "10.0.0.2", "end_ip": "10.0.0.9", "gateway_ip": "10.0.0.1"},
        "systemcontroller_gateway_ip": "192.168.204.101",
        "group_id": 1,
        "initial_deployment": true,
    }))
    .unwrap()
}
