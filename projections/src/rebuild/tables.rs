//! The tables of versions: made for a rebuild, and dropped when nobody needs them.

use std::time::Duration;

use super::RebuildError;
use super::claim::{Claim, Phase};
use crate::checkpoint;
use crate::projection::Projection;
use crate::store::{ReadModels, sql};
use crate::table::Table;

/// How often an index that is being made gives a sign of life.
const SIGN_EVERY: Duration = Duration::from_secs(5);

/// Creates the tables of `version`, without indices: those are made faster once the rows are there. What other rebuilds
/// have left behind is dropped first.
pub(super) async fn create(
    models: &ReadModels,
    projection: &dyn Projection,
    version: i64,
) -> Result<(), RebuildError> {
    drop_old(models, projection, Some(version)).await?;
    let mut tx = models.writes.begin().await?;
    for table in projection.tables() {
        sqlx::query(sql(table.create(version, models.embedded))).execute(&mut *tx).await?;
    }
    checkpoint::register(&mut tx, projection, version, models.journal).await?;
    tx.commit().await?;
    Ok(())
}

/// Creates the indices of `version`, each in a transaction of its own.
pub(super) async fn create_indices(
    models: &ReadModels,
    projection: &dyn Projection,
    version: i64,
    claim: &mut Claim,
) -> Result<(), RebuildError> {
    for table in projection.tables() {
        for statement in table.create_indices(version) {
            claim.enter(models, Phase::Indexing).await?;
            in_its_time(models, statement, claim).await?;
        }
    }
    Ok(())
}

/// Carries out a statement that takes as long as a table is large: longer than a claim holds without a sign of life.
async fn in_its_time(models: &ReadModels, statement: String, claim: &mut Claim) -> Result<(), RebuildError> {
    let work = without_limit(models, statement);
    tokio::pin!(work);
    loop {
        match tokio::time::timeout(SIGN_EVERY, &mut work).await {
            Ok(done) => return Ok(done?),
            // Where there is one writer, it is this one, and nobody else can claim anything meanwhile.
            Err(_) if models.embedded => {}
            Err(_) => claim.enter(models, Phase::Indexing).await?,
        }
    }
}

async fn without_limit(models: &ReadModels, statement: String) -> Result<(), sqlx::Error> {
    let mut tx = models.writes.begin().await?;
    if !models.embedded {
        sqlx::query("set local statement_timeout = 0").execute(&mut *tx).await?;
    }
    sqlx::query(sql(statement)).execute(&mut *tx).await?;
    tx.commit().await
}

/// Tells PostgreSQL which keys the tables of `version` have, before they are compared and read: of new tables it knows
/// nothing, and goes through them whole where an index would do. The rest it finds out by itself later.
pub(super) async fn analyse(
    models: &ReadModels,
    projection: &dyn Projection,
    version: i64,
    claim: &mut Claim,
) -> Result<(), RebuildError> {
    if models.embedded {
        return Ok(());
    }
    for table in projection.tables() {
        let text = format!("analyze {} ({})", table.named(version), table.key().join(", "));
        in_its_time(models, text, claim).await?;
    }
    Ok(())
}

/// Drops every version that is neither read, nor the one before, nor `kept`.
pub(super) async fn drop_old(
    models: &ReadModels,
    projection: &dyn Projection,
    kept: Option<i64>,
) -> Result<(), sqlx::Error> {
    let old: Vec<i64> = sqlx::query_scalar(
        "select c.version from projection_checkpoint c join read_model m on m.name = c.name
         where c.name = $1 and c.version <> m.active_version
            and (m.previous_version is null or c.version <> m.previous_version)",
    )
    .bind(projection.name())
    .fetch_all(&models.writes)
    .await?;
    for version in old.into_iter().filter(|version| Some(*version) != kept) {
        drop_version(models, projection, version).await?;
    }
    Ok(())
}

/// Drops a version, unless it is read.
pub(super) async fn drop_version(
    models: &ReadModels,
    projection: &dyn Projection,
    version: i64,
) -> Result<(), sqlx::Error> {
    let mut tx = models.writes.begin().await?;
    let active = ReadModels::active_version(&mut tx, projection.name()).await?;
    if active == version {
        return Ok(());
    }
    let tables = projection.tables();
    let names = tables.iter().map(Table::name).chain(projection.former_tables().iter().copied());
    for name in names {
        sqlx::query(sql(format!("drop table if exists {name}_v{version}"))).execute(&mut *tx).await?;
    }
    checkpoint::forget(&mut tx, projection.name(), version).await?;
    tx.commit().await
}
