//! Folding: each event is a few statements on the rows it changes, however many steps there are.

use dcm_domain::strategy::{
    ImportedStep, PlannedStep, StepState, StepsChanged, StrategyCreated, StrategyEvent, StrategyImported,
    StrategyState,
};
use dcm_domain::value::Timestamp;
use sqlx::AnyConnection;

use crate::rows::{Known, Target, placeholders};
use crate::store::sql;

/// Values of one statement; PostgreSQL takes 65,535, SQLite 32,766.
const MOST_VALUES: usize = 32_000;

/// Applies one event, recorded at `at`, to the tables of `version`.
pub(super) async fn apply(
    connection: &mut AnyConnection,
    version: i64,
    at: Timestamp,
    event: StrategyEvent,
) -> Result<(), sqlx::Error> {
    use StrategyEvent as E;
    match event {
        E::StrategyCreated(created) => insert(connection, version, of_created(*created)).await,
        E::StrategyImported(imported) => insert(connection, version, *imported).await,
        E::StepsPlanned(planned) => {
            let steps: Vec<_> = planned.steps.into_iter().map(|step| of_planned(step, at)).collect();
            insert_steps(connection, version, &steps).await
        }
        E::StepsImported(imported) => insert_steps(connection, version, &imported.steps).await,
        E::StrategyApplied(applied) => enter(connection, version, StrategyState::Applying, applied.at).await,
        E::StrategyAbortRequested(requested) => {
            enter(connection, version, StrategyState::AbortRequested, requested.at).await
        }
        E::StrategyStateChanged(changed) => enter(connection, version, changed.to, changed.at).await,
        E::StrategyFinished(finished) => enter(connection, version, finished.state, finished.at).await,
        E::StrategyDeletionRequested(requested) => {
            enter(connection, version, StrategyState::Deleting, requested.at).await
        }
        E::StepsChanged(changed) => change(connection, version, &changed).await,
        E::StrategyDeleted(_) => remove(connection, version).await,
        // Who works on it is not shown.
        E::StrategyClaimed(_) => Ok(()),
    }
}

/// A new strategy as a row.
fn of_created(created: StrategyCreated) -> StrategyImported {
    StrategyImported {
        uuid: created.uuid,
        id: created.id,
        kind: created.kind,
        apply_type: created.apply_type,
        max_parallel_subclouds: created.max_parallel_subclouds,
        stop_on_failure: created.stop_on_failure,
        state: StrategyState::Initial,
        extra_args: created.extra_args,
        sysadmin_password: None,
        created_at: Some(created.at),
        updated_at: None,
        at: created.at,
    }
}

/// A new step as a row.
fn of_planned(planned: PlannedStep, at: Timestamp) -> ImportedStep {
    ImportedStep {
        id: planned.id,
        subcloud: planned.subcloud,
        subcloud_id: planned.subcloud_id,
        name: planned.name,
        stage: 1,
        state: StepState::initial(),
        details: String::new(),
        started_at: None,
        finished_at: None,
        created_at: Some(at),
        updated_at: None,
    }
}

async fn insert(
    connection: &mut AnyConnection,
    version: i64,
    row: StrategyImported,
) -> Result<(), sqlx::Error> {
    sqlx::query(sql(format!(
        "insert into sw_update_strategy_v{version}
         (id, type, subcloud_apply_type, max_parallel_subclouds, stop_on_failure, state, extra_args, created_at,
          updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    )))
    .bind(row.id)
    .bind(row.kind.as_str().to_owned())
    .bind(row.apply_type.map(|word| word.as_str().to_owned()))
    .bind(i64::from(row.max_parallel_subclouds))
    .bind(i64::from(row.stop_on_failure))
    .bind(row.state.as_str().to_owned())
    .bind(row.extra_args.to_string())
    .bind(row.created_at.map(Timestamp::micros))
    .bind(row.updated_at.map(Timestamp::micros))
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_steps(
    connection: &mut AnyConnection,
    version: i64,
    steps: &[ImportedStep],
) -> Result<(), sqlx::Error> {
    const COLUMNS: [&str; 9] =
        ["id", "uuid", "stage", "state", "details", "started_at", "finished_at", "created_at", "updated_at"];
    let cells = |step: &ImportedStep| {
        [
            step.id.into(),
            step.subcloud.into(),
            step.stage.into(),
            step.state.as_str().into(),
            step.details.as_str().into(),
            step.started_at.into(),
            step.finished_at.into(),
            step.created_at.into(),
            step.updated_at.into(),
        ]
    };
    let table = format!("strategy_step_v{version}");
    let target = Target { table: &table, columns: &COLUMNS, key: 1, known: Known::Refuse };
    target.write(connection, steps.iter().map(cells).collect()).await
}

/// There is one strategy at most: its row is the only one.
async fn enter(
    connection: &mut AnyConnection,
    version: i64,
    state: StrategyState,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(sql(format!("update sw_update_strategy_v{version} set state = $1, updated_at = $2")))
        .bind(state.as_str().to_owned())
        .bind(at.micros())
        .execute(connection)
        .await
        .map(drop)
}

async fn change(
    connection: &mut AnyConnection,
    version: i64,
    changed: &StepsChanged,
) -> Result<(), sqlx::Error> {
    const OTHERS: usize = 6;
    for some in changed.steps.chunks(MOST_VALUES - OTHERS) {
        let ids = placeholders(OTHERS + 1, some.len());
        let mut query = sqlx::query(sql(format!(
            "update strategy_step_v{version} set stage = $1, state = $2, details = $3,
                started_at = coalesce($4, started_at), finished_at = coalesce($5, finished_at), updated_at = $6
             where id in ({ids})"
        )))
        .bind(changed.stage)
        .bind(text(changed.state.as_str()))
        .bind(text(&changed.details))
        .bind(changed.started_at.map(Timestamp::micros))
        .bind(changed.finished_at.map(Timestamp::micros))
        .bind(changed.at.micros());
        for id in some {
            query = query.bind(*id);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn remove(connection: &mut AnyConnection, version: i64) -> Result<(), sqlx::Error> {
    for table in ["strategy_step", "sw_update_strategy"] {
        sqlx::query(sql(format!("delete from {table}_v{version}"))).execute(&mut *connection).await?;
    }
    Ok(())
}

/// A text as every database takes it: PostgreSQL refuses NUL, and one such event must not stop the read model.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
