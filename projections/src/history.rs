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
use crate::memory::Memory;
use crate::projection::{ProjectError, Projection, Source};
use crate::rows::{Cell, Known, Target};
use crate::store::{ReadModels, bounded, sql};
use crate::table::Table;
use crate::writing::Writing;

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

impl HistoryFilter {
    /// Each comparison that must hold, and with what. What is not asked for is no condition: an index has use for all.
    fn conditions(&self) -> Vec<(&'static str, Cell)> {
        let text = |asked: Option<&String>| asked.filter(|asked| !asked.is_empty()).cloned().map(Cell::from);
        let conditions = [
            ("revision >", self.after_revision.map(Cell::from)),
            ("recorded_at >=", self.since.map(Cell::from)),
            ("recorded_at <=", self.until.map(Cell::from)),
            ("type =", text(self.event_type.as_ref())),
            ("actor =", text(self.actor.as_ref())),
        ];
        conditions.into_iter().filter_map(|(condition, value)| Some((condition, value?))).collect()
    }
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
            let conditions = filter.conditions();
            let mut text = format!("select position, body from subcloud_history_v{version} where uuid = $1");
            for (place, (condition, _)) in (3..).zip(&conditions) {
                text.push_str(&format!(" and {condition} ${place}"));
            }
            text.push_str(" order by revision limit $2");
            let query = sqlx::query(sql(text)).bind(uuid.to_string()).bind(i64::from(filter.limit));
            let query = conditions.into_iter().fold(query, |query, (_, value)| value.bind(query));
            let rows = query.fetch_all(&mut *tx).await?;
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

    fn generation(&self) -> i64 {
        2
    }

    // The first generation had other indices.
    fn knows(&self, generation: i64) -> bool {
        generation <= self.generation()
    }

    fn tables(&self) -> Vec<Table> {
        let columns = "uuid text not null, revision bigint not null, position bigint not null, type text not null, \
             actor text not null, recorded_at bigint not null, body text not null";
        // One index for every filter: what of a subcloud is left out is told by the index, and only what is shown is read.
        let filter = "uuid, revision, recorded_at, type, actor";
        vec![Table::new("subcloud_history", &["uuid", "revision"], columns).index("filter", filter)]
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
        let mut writing = Writing::now(connection);
        self.go_on(&mut writing, version, batch, &mut Memory::default()).await
    }

    fn needs_transaction(&self, _: &Event) -> Result<bool, ProjectError> {
        Ok(false)
    }

    async fn go_on(
        &self,
        writing: &mut Writing<'_>,
        version: i64,
        batch: &[Event],
        _: &mut Memory,
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
        Ok(writing.write(target, rows).await?)
    }
}
