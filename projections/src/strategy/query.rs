//! Queries of the strategy and its steps.

use std::sync::Arc;

use dcm_domain::value::Timestamp;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::PROJECTION;
use crate::projection::Projection;
use crate::store::{ReadModels, bounded, sql};
use crate::subclouds;

/// The strategy, as its row says.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyRow {
    /// The small integer id.
    pub id: i64,
    /// What it updates.
    pub kind: String,
    /// `parallel` or `serial`, if anybody said.
    pub apply_type: Option<String>,
    /// How many subclouds are worked on at once.
    pub max_parallel_subclouds: i64,
    /// Whether no further step is started after one failed.
    pub stop_on_failure: bool,
    /// Where it stands.
    pub state: String,
    /// What its type needs, without secrets.
    pub extra_args: Value,
    /// When it was created; an imported row may not say.
    pub created_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// A step, as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRow {
    /// The small integer id.
    pub id: i64,
    /// The name its subcloud has now.
    pub cloud: String,
    /// 1 created, 2 started, 3 processed.
    pub stage: i64,
    /// Where it stands.
    pub state: String,
    /// Why, or how far.
    pub details: String,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it was made; an imported row may not say.
    pub created_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// Queries of the strategy.
pub struct Strategies {
    models: Arc<ReadModels>,
}

impl Strategies {
    pub(crate) const fn new(models: Arc<ReadModels>) -> Self {
        Self { models }
    }

    /// The strategy, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn current(&self) -> Result<Option<StrategyRow>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!(
            "select id, type, subcloud_apply_type, max_parallel_subclouds, stop_on_failure, state, extra_args,
                    created_at, updated_at from sw_update_strategy_v{version}"
        );
            sqlx::query(sql(text)).fetch_optional(&mut *tx).await?.as_ref().map(strategy).transpose()
        })
        .await
    }

    /// The steps of subclouds that are not deleted, in the order of execution.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn steps(&self) -> Result<Vec<StepRow>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let text = format!("{} order by s.id", steps_of_the_living(&mut tx).await?);
            sqlx::query(sql(text)).fetch_all(&mut *tx).await?.iter().map(step).collect()
        })
        .await
    }

    /// The step of the subcloud with this name, if it has one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn step(&self, cloud: &str) -> Result<Option<StepRow>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let text =
                format!("{} and c.name = $1 order by s.id limit 1", steps_of_the_living(&mut tx).await?);
            let query = sqlx::query(sql(text)).bind(cloud.to_owned());
            query.fetch_optional(&mut *tx).await?.as_ref().map(step).transpose()
        })
        .await
    }
}

/// The steps with the names their subclouds have now; deleted subclouds take theirs with them. Both read models are
/// moved in one transaction, so that they show the same moment.
async fn steps_of_the_living(connection: &mut AnyConnection) -> Result<String, sqlx::Error> {
    let steps = ReadModels::active_version(connection, PROJECTION.name()).await?;
    let subclouds = ReadModels::active_version(connection, subclouds::PROJECTION.name()).await?;
    Ok(format!(
        "select s.id, c.name, s.stage, s.state, s.details, s.started_at, s.finished_at, s.created_at, s.updated_at
         from strategy_step_v{steps} s join subcloud_v{subclouds} c on c.uuid = s.uuid where c.deleted = 0"
    ))
}

fn strategy(row: &AnyRow) -> Result<StrategyRow, sqlx::Error> {
    let extra_args: String = row.try_get(6)?;
    Ok(StrategyRow {
        id: row.try_get(0)?,
        kind: row.try_get(1)?,
        apply_type: row.try_get(2)?,
        max_parallel_subclouds: row.try_get(3)?,
        stop_on_failure: row.try_get::<i64, _>(4)? != 0,
        state: row.try_get(5)?,
        extra_args: serde_json::from_str(&extra_args).map_err(|error| sqlx::Error::Decode(error.into()))?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
    })
}

fn step(row: &AnyRow) -> Result<StepRow, sqlx::Error> {
    Ok(StepRow {
        id: row.try_get(0)?,
        cloud: row.try_get(1)?,
        stage: row.try_get(2)?,
        state: row.try_get(3)?,
        details: row.try_get(4)?,
        started_at: time(row, 5)?,
        finished_at: time(row, 6)?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
    })
}

fn time(row: &AnyRow, column: usize) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros))
}
