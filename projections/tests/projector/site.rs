//! A journal with commands on it, and its read models.

use std::sync::Arc;

use dcm_domain::subcloud::command::{AddSubcloud, add_phases};
use dcm_domain::subcloud::{DeployRunRequested, ManagementNetwork, RunInputs, SubcloudAdded};
use dcm_domain::value::{Actor, Name, Region, Subnet};
use dcm_journal::fleet::{Claim, Fleet};
use dcm_journal::repository::Meta;
use dcm_journal::store::{self, Journal};
use dcm_projections::{Projection, Projector, ReadModels};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::cluster;

pub struct Site {
    pub journal: Arc<dyn Journal>,
    pub fleet: Fleet,
    pub models: Arc<ReadModels>,
    pub dir: tempfile::TempDir,
    url: String,
}

impl Site {
    pub async fn open(url: &str) -> Self {
        Self::open_with(url, None).await
    }

    /// With other read models than the product's.
    pub async fn open_with(url: &str, projections: Option<Vec<&'static dyn Projection>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = store::open("embedded:", dir.path()).await.unwrap();
        let models = match projections {
            None => ReadModels::open(url, dir.path(), journal.id()).await.unwrap(),
            Some(other) => ReadModels::open_with(url, dir.path(), journal.id(), other).await.unwrap(),
        };
        let fleet = Fleet::new(&journal).unwrap();
        fleet.ensure_default_group(&meta()).await.unwrap();
        Self { journal, fleet, models, dir, url: url.to_owned() }
    }

    pub fn projector(&self, epoch: i64) -> Projector {
        Projector::new(Arc::clone(&self.models), Arc::clone(&self.journal), epoch, Arc::new(Notify::new()))
    }

    /// The same read models, as another program has them.
    pub async fn another(&self, projections: Vec<&'static dyn Projection>) -> Arc<ReadModels> {
        ReadModels::open_with(&self.url, self.dir.path(), self.journal.id(), projections).await.unwrap()
    }

    pub fn projector_of(&self, models: &Arc<ReadModels>, epoch: i64) -> Projector {
        Projector::new(Arc::clone(models), Arc::clone(&self.journal), epoch, Arc::new(Notify::new()))
    }

    pub async fn project(&self) {
        let projector = self.projector(1);
        while projector.step().await.unwrap().is_some() {}
    }

    pub fn is_embedded(&self) -> bool {
        self.url == "embedded:"
    }

    /// A connection of the test's own to the read models.
    pub async fn raw(&self) -> sqlx::AnyConnection {
        let file = format!("sqlite://{}", self.dir.path().join("read-models.db").display());
        let url = if self.is_embedded() { file } else { self.url.clone() };
        <sqlx::AnyConnection as sqlx::Connection>::connect(&url).await.unwrap()
    }

    pub async fn add(&self, number: u8) -> Uuid {
        let entity = Uuid::now_v7();
        let name = Name::parse(&format!("subcloud{number}")).unwrap();
        let region = Region::parse(&format!("region{number}")).unwrap();
        let subnet = Subnet::parse(&format!("10.0.{number}.0/24")).unwrap();
        let claim =
            Claim { entity, name: name.clone(), region: region.clone(), subnet: subnet.clone(), group_id: 1 };
        let build = |id| AddSubcloud {
            subcloud: SubcloudAdded {
                id,
                name,
                region,
                description: None,
                location: Some("Vienna".to_owned()),
                software_version: "24.09".to_owned(),
                network: ManagementNetwork {
                    subnet: subnet.as_str().to_owned(),
                    start_ip: format!("10.0.{number}.2"),
                    end_ip: format!("10.0.{number}.50"),
                    gateway_ip: format!("10.0.{number}.1"),
                },
                systemcontroller_gateway_ip: "192.168.204.101".to_owned(),
                group_id: 1,
                install: None,
                bootstrap: None,
                bootstrap_address: None,
                deploy_config: None,
                initial_deployment: true,
            },
            run: DeployRunRequested {
                run_id: Uuid::now_v7(),
                phases: add_phases(false, false),
                inputs: RunInputs::default(),
            },
            claimed_by: None,
        };
        self.fleet.add(claim, &meta(), build).await.unwrap();
        entity
    }
}

pub fn meta() -> Meta {
    Meta::new(Actor::system("test"))
}

/// A new database on the tests' own server.
pub async fn database(cluster: &cluster::Cluster) -> String {
    use sqlx::{Connection, Executor};
    let base = format!("postgres://dcm@127.0.0.1:{}", cluster.port);
    let name = format!("models_{}", Uuid::now_v7().simple());
    let mut connection = sqlx::PgConnection::connect(&format!("{base}/postgres")).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    format!("{base}/{name}")
}
