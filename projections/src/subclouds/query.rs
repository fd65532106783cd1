//! Queries of subclouds and their runs. Each takes the active version inside its own transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use dcm_domain::subcloud::RunKind;
use dcm_domain::value::{Phase, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use super::PROJECTION;
use super::row::SubcloudRow;
use crate::edition::Edition;
use crate::projection::Projection;
use crate::rows::AnyQuery;
use crate::store::{ReadModels, bounded, sql};

/// Queries of subclouds.
#[derive(Clone)]
pub struct Subclouds {
    pub(super) models: Arc<ReadModels>,
    /// The version that was active when it was last asked for: a guess, which every statement that uses it checks.
    pub(super) version: Arc<AtomicI64>,
}

/// A deployment run, as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// The run.
    pub run_id: Uuid,
    /// The subcloud.
    pub uuid: Uuid,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// The worker that claimed it.
    pub worker: Option<String>,
    /// Which worker it is for.
    pub kind: RunKind,
}

/// A backup run that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupRunRow {
    /// The run.
    pub run_id: Uuid,
    /// The subcloud.
    pub uuid: Uuid,
}

/// How many subclouds share a deploy status and a management state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCount {
    /// The deploy status.
    pub deploy_status: String,
    /// The management state.
    pub management_state: String,
    /// How many.
    pub count: i64,
}

/// Runs asked for in one statement.
const RUNS_AT_ONCE: usize = 1000;

impl Subclouds {
    pub(crate) fn new(models: Arc<ReadModels>) -> Self {
        Self { models, version: Arc::new(AtomicI64::new(1)) }
    }

    /// Which edition of the rows is shown, if this process knows.
    pub(crate) fn edition(&self) -> &Edition {
        &self.models.edition
    }

    /// The subcloud with this id, unless it is deleted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_id(&self, id: i64) -> Result<Option<SubcloudRow>, sqlx::Error> {
        self.one("id = $1 and deleted = 0", |query| query.bind(id)).await
    }

    /// The subcloud with this name, unless it is deleted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_name(&self, name: &str) -> Result<Option<SubcloudRow>, sqlx::Error> {
        let name = name.to_owned();
        self.one("name = $1 and deleted = 0", |query| query.bind(name)).await
    }

    /// The subcloud with this region, unless it is deleted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_region(&self, region: &str) -> Result<Option<SubcloudRow>, sqlx::Error> {
        let region = region.to_owned();
        self.one("region = $1 and deleted = 0", |query| query.bind(region)).await
    }

    /// The subcloud with this uuid, deleted or not.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_uuid(&self, uuid: Uuid) -> Result<Option<SubcloudRow>, sqlx::Error> {
        self.one("uuid = $1", |query| query.bind(uuid.to_string())).await
    }

    /// The subcloud deleted last that had this name at its end.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn deleted_by_name(&self, name: &str) -> Result<Option<SubcloudRow>, sqlx::Error> {
        let name = name.to_owned();
        self.one("name = $1 and deleted = 1 order by position desc limit 1", |query| query.bind(name)).await
    }

    /// Where the read model is, and when the last event it folded was recorded.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn position(&self) -> Result<(u64, Option<Timestamp>), sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let active = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            place(&mut tx, active).await
        })
        .await
    }

    /// The runs that have not ended, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open_runs(&self, limit: u32) -> Result<Vec<RunRow>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let active = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!(
                "select run_id, uuid, requested_at, worker, phases from deploy_run_v{active}
             where finished_at is null order by requested_at limit $1"
            );
            let rows = sqlx::query(sql(text)).bind(i64::from(limit)).fetch_all(&mut *tx).await?;
            rows.iter()
                .map(|row| {
                    Ok(RunRow {
                        run_id: uuid(row, 0)?,
                        uuid: uuid(row, 1)?,
                        requested_at: Timestamp::from_micros(row.try_get(2)?),
                        worker: row.try_get(3)?,
                        kind: kind(row.try_get(4)?),
                    })
                })
                .collect()
        })
        .await
    }

    /// The backup runs that have not ended.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open_backup_runs(&self, limit: u32) -> Result<Vec<BackupRunRow>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let active = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!(
                "select backup_run_id, uuid from subcloud_v{active}
             where backup_run_id is not null and deleted = 0 order by position limit $1"
            );
            let rows = sqlx::query(sql(text)).bind(i64::from(limit)).fetch_all(&mut *tx).await?;
            rows.iter().map(|row| Ok(BackupRunRow { run_id: uuid(row, 0)?, uuid: uuid(row, 1)? })).collect()
        })
        .await
    }

    /// Every subcloud that is not deleted, by id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn all(&self) -> Result<Vec<SubcloudRow>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let active = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!("select state from subcloud_v{active} where deleted = 0 order by id");
            let rows = sqlx::query(sql(text)).fetch_all(&mut *tx).await?;
            rows.iter().map(row).collect()
        })
        .await
    }

    /// The members of a group that are not deleted, by id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn in_group(&self, group_id: i64) -> Result<Vec<SubcloudRow>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let active = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!(
                "select state from subcloud_v{active} where group_id = $1 and deleted = 0 order by id"
            );
            let rows = sqlx::query(sql(text)).bind(group_id).fetch_all(&mut *tx).await?;
            rows.iter().map(row).collect()
        })
        .await
    }

    /// The subclouds of a peer group that are not deleted, by id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn in_peer_group(&self, peer_group_id: i64) -> Result<Vec<SubcloudRow>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let active = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!(
                "select state from subcloud_v{active} where peer_group_id = $1 and deleted = 0 order by id"
            );
            let rows = sqlx::query(sql(text)).bind(peer_group_id).fetch_all(&mut *tx).await?;
            rows.iter().map(row).collect()
        })
        .await
    }

    /// How many subclouds of a peer group have each deploy status and management state.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn counts_in_peer_group(&self, peer_group_id: i64) -> Result<Vec<StateCount>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let active = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!(
                "select deploy_status, management_state, count(*) from subcloud_v{active}
             where peer_group_id = $1 and deleted = 0 group by deploy_status, management_state"
            );
            let rows = sqlx::query(sql(text)).bind(peer_group_id).fetch_all(&mut *tx).await?;
            let count = |row: &AnyRow| {
                Ok(StateCount {
                    deploy_status: row.try_get(0)?,
                    management_state: row.try_get(1)?,
                    count: row.try_get(2)?,
                })
            };
            rows.iter().map(count).collect()
        })
        .await
    }

    /// The ids of the peer groups that subclouds belong to.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn peer_group_ids(&self) -> Result<Vec<i64>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let active = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!(
                "select distinct peer_group_id from subcloud_v{active}
             where peer_group_id is not null and deleted = 0"
            );
            sqlx::query_scalar(sql(text)).fetch_all(&mut *tx).await
        })
        .await
    }

    /// How those of `run_ids` have ended that were requested: `None` while one is open.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn outcomes(&self, run_ids: &[Uuid]) -> Result<HashMap<Uuid, Option<String>>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let active = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let mut found = HashMap::new();
            for some in run_ids.chunks(RUNS_AT_ONCE) {
                let places: Vec<String> = (1..=some.len()).map(|place| format!("${place}")).collect();
                let text = format!(
                    "select run_id, outcome from deploy_run_v{active} where run_id in ({})",
                    places.join(", ")
                );
                let query =
                    some.iter().fold(sqlx::query(sql(text)), |query, run| query.bind(run.to_string()));
                for row in query.fetch_all(&mut *tx).await? {
                    found.insert(uuid(&row, 0)?, row.try_get(1)?);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn one(
        &self,
        condition: &str,
        bind: impl FnOnce(AnyQuery<'_>) -> AnyQuery<'_>,
    ) -> Result<Option<SubcloudRow>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let query = sqlx::query(sql(format!("select state from subcloud_v{version} where {condition}")));
            bind(query).fetch_optional(&mut *tx).await?.as_ref().map(row).transpose()
        })
        .await
    }
}

async fn place(
    connection: &mut AnyConnection,
    version: i64,
) -> Result<(u64, Option<Timestamp>), sqlx::Error> {
    let text = "select position, event_time from projection_checkpoint where name = $1 and version = $2";
    let row = sqlx::query(text).bind(PROJECTION.name()).bind(version).fetch_one(connection).await?;
    let order = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
    Ok((order, row.try_get::<Option<i64>, _>(1)?.map(Timestamp::from_micros)))
}

fn row(row: &AnyRow) -> Result<SubcloudRow, sqlx::Error> {
    serde_json::from_str(&row.try_get::<String, _>(0)?).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// The kind of a run with these phases, as its row has them.
fn kind(phases: &str) -> RunKind {
    let phases: Vec<Phase> = phases.split(',').filter_map(Phase::parse).collect();
    RunKind::of(&phases)
}

pub(super) fn uuid(row: &AnyRow, index: usize) -> Result<Uuid, sqlx::Error> {
    row.try_get::<String, _>(index)?.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))
}
