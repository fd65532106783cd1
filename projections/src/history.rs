//! Read model `history`: what happened to each subcloud, to be asked by type, actor and time.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::Subcloud;
use dcm_domain::value::Timestamp;
use dcm_schemas::{Envelope, Position};
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::batch::Event;
use crate::checkpoint::signed;
use crate::projection::{ProjectError, Projection, Source};
use crate::rows::{Known, Target};
use crate::store::{ReadModels, bounded, sql};
use crate::table::Table;

/// The one projection of histories.
pub(crate) const PROJECTION: HistoryProjection = HistoryProjection;

pub(crate) struct HistoryProjection;

/// What to look for in a history. Everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Event name.
    pub event_type: Option<String>,
    /// User id of the actor.
    pub actor: Option<String>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Not after this moment.
    pub until: Option<Timestamp>,
    /// Only revisions after this one.
    pub after_revision: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// One entry of a history.
#[derive(Clone, Debug)]
pub struct HistoryRow {
    /// Where it is in the journal.
    pub position: Position,
    /// What happened, as it was written.
    pub envelope: Envelope,
}

/// Queries of histories.
pub struct History {
    models: Arc<ReadModels>,
}

impl History {
    pub(crate) const fn new(models: Arc<ReadModels>) -> Self {
        Self { models }
    }

    /// What happened to a subcloud, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn of(&self, uuid: Uuid, filter: &HistoryFilter) -> Result<Vec<HistoryRow>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!(
                "select position, body from subcloud_history_v{version}
             where uuid = $1 and revision > $2 and recorded_at >= $3 and recorded_at <= $4
               and (cast($5 as text) = '' or type = $5) and (cast($6 as text) = '' or actor = $6)
             order by revision limit $7"
            );
            let rows = sqlx::query(sql(text))
                .bind(uuid.to_string())
                .bind(filter.after_revision.map_or(-1, signed))
                .bind(filter.since.map_or(i64::MIN, Timestamp::micros))
                .bind(filter.until.map_or(i64::MAX, Timestamp::micros))
                .bind(filter.event_type.clone().unwrap_or_default())
                .bind(filter.actor.clone().unwrap_or_default())
                .bind(i64::from(filter.limit))
                .fetch_all(&mut *tx)
                .await?;
            rows.iter()
                .map(|row| {
                    let order = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
                    let envelope = serde_json::from_str(&row.try_get::<String, _>(1)?)
                        .map_err(|error| sqlx::Error::Decode(error.into()))?;
                    Ok(HistoryRow { position: Position { journal: self.models.journal, order }, envelope })
                })
                .collect()
        })
        .await
    }
}

const COLUMNS: [&str; 7] = ["uuid", "revision", "position", "type", "actor", "recorded_at", "body"];

#[async_trait]
impl Projection for HistoryProjection {
    fn name(&self) -> &'static str {
        "history"
    }

    fn tables(&self) -> Vec<Table> {
        let columns = "uuid text not null, revision bigint not null, position bigint not null, type text not null, \
             actor text not null, recorded_at bigint not null, body text not null";
        let table = Table::new("subcloud_history", &["uuid", "revision"], columns)
            .index("time", "uuid, recorded_at")
            .index("type", "uuid, type, revision")
            .index("actor", "uuid, actor, revision");
        vec![table]
    }

    fn source(&self) -> Source {
        Source::Each(Subcloud::KIND)
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Event],
    ) -> Result<(), ProjectError> {
        let mut rows = Vec::new();
        for event in batch.iter().filter(|event| event.kind() == Subcloud::KIND) {
            // An event this program does not know has no sentence and no place here yet.
            event.subcloud()?;
            let envelope = event.envelope();
            rows.push([
                event.uuid().unwrap_or_default().into(),
                envelope.revision.into(),
                event.order().into(),
                envelope.r#type.as_str().into(),
                envelope.actor.user_id.as_str().into(),
                event.at().into(),
                event.recorded().body.as_str().into(),
            ]);
        }
        let table = format!("subcloud_history_v{version}");
        let target = Target { table: &table, columns: &COLUMNS, key: 2, known: Known::Refuse };
        Ok(target.write(connection, rows).await?)
    }
}
