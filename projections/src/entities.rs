//! Read models of small kinds: one row per entity, its folded state with its times, and columns for what is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::ImportedTimes;
use dcm_domain::value::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::batch::Event;
use crate::projection::{ProjectError, Projection, Source};
use crate::rows::{self, Cell, Known, Target};
use crate::store::{ReadModels, bounded, sql};
use crate::table::Table;

/// A value that entities are looked up by.
pub(crate) enum Key {
    /// A text.
    Text(String),
    /// An id.
    Number(i64),
}

impl From<Key> for Cell {
    fn from(key: Key) -> Self {
        match key {
            Key::Text(text) => text.into(),
            Key::Number(number) => number.into(),
        }
    }
}

/// What [`row`] reads, in its order.
const READ: &str = "uuid, state, created_at, updated_at";

/// An aggregate of a small kind, as its read model needs it.
pub(crate) trait Entity: Aggregate + Serialize + DeserializeOwned {
    /// Name of the read model, and of its table.
    const MODEL: &'static str;
    /// The two columns it is asked by beside its id, with their types.
    const COLUMNS: [(&'static str, &'static str); 2];

    /// The small integer id.
    fn id(&self) -> i64;

    /// The values of [`Self::COLUMNS`].
    fn keys(&self) -> [Key; 2];

    /// Whether it is gone, or never began.
    fn is_deleted(&self) -> bool;

    /// The times of the row it was imported from.
    fn imported(&self) -> Option<ImportedTimes>;

    /// Whether an event at `revision`, which is not the first, changes what the row shows.
    fn changes_row(_event: &Self::Event, _revision: u64) -> bool {
        true
    }
}

/// An entity, as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityRow<A> {
    /// Uuid of the entity and of its stream.
    pub uuid: Uuid,
    /// Its folded state.
    pub state: A,
    /// When it was added.
    pub created_at: Timestamp,
    /// When its row last changed; `None` since it was added.
    pub updated_at: Option<Timestamp>,
}

/// Queries of one kind.
pub struct Entities<A> {
    models: Arc<ReadModels>,
    kind: PhantomData<fn() -> A>,
}

#[expect(private_bounds, reason = "which kinds have such a read model is decided here")]
impl<A: Entity> Entities<A> {
    pub(crate) const fn new(models: Arc<ReadModels>) -> Self {
        Self { models, kind: PhantomData }
    }

    /// Every entity, by id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn all(&self) -> Result<Vec<EntityRow<A>>, sqlx::Error> {
        self.found("1 = 1", Vec::new()).await
    }

    /// The entity with this id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_id(&self, id: i64) -> Result<Option<EntityRow<A>>, sqlx::Error> {
        Ok(self.found("id = $1", vec![Key::Number(id)]).await?.pop())
    }

    /// The first entity, by id, with this value in that column: imported rows may share one.
    pub(crate) async fn first(&self, column: &str, key: Key) -> Result<Option<EntityRow<A>>, sqlx::Error> {
        Ok(self.found(&format!("{column} = $1"), vec![key]).await?.into_iter().next())
    }

    /// The entities that fulfil `condition`, by id.
    pub(crate) async fn found(
        &self,
        condition: &str,
        keys: Vec<Key>,
    ) -> Result<Vec<EntityRow<A>>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, A::MODEL).await?;
            let table = table::<A>(version);
            let text = format!("select {READ} from {table} where {condition} order by id");
            let query =
                keys.into_iter().fold(sqlx::query(sql(text)), |query, key| Cell::from(key).bind(query));
            query.fetch_all(&mut *tx).await?.iter().map(row).collect()
        })
        .await
    }
}

fn row<A: DeserializeOwned>(row: &AnyRow) -> Result<EntityRow<A>, sqlx::Error> {
    let uuid: String = row.try_get(0)?;
    let state: String = row.try_get(1)?;
    Ok(EntityRow {
        uuid: uuid.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?,
        state: serde_json::from_str(&state).map_err(|error| sqlx::Error::Decode(error.into()))?,
        created_at: Timestamp::from_micros(row.try_get(2)?),
        updated_at: row.try_get::<Option<i64>, _>(3)?.map(Timestamp::from_micros),
    })
}

fn table<A: Entity>(version: i64) -> String {
    format!("{}_v{version}", A::MODEL)
}

/// The projection of one kind.
pub(crate) struct EntityProjection<A>(PhantomData<fn() -> A>);

impl<A> EntityProjection<A> {
    pub(crate) const NEW: Self = Self(PhantomData);
}

#[async_trait]
impl<A: Entity> Projection for EntityProjection<A> {
    fn name(&self) -> &'static str {
        A::MODEL
    }

    fn tables(&self) -> Vec<Table> {
        let [(one, one_type), (other, other_type)] = A::COLUMNS;
        let columns = format!(
            "uuid text not null, id bigint not null, {one} {one_type} not null, {other} {other_type} not null,
             state text not null, created_at bigint not null, updated_at bigint, position bigint not null"
        );
        let table = Table::new(A::MODEL, &["uuid"], columns);
        vec![table.index("id", "id").index(one, one).index(other, other)]
    }

    fn source(&self) -> Source {
        Source::Each(A::KIND)
    }

    fn needs_transaction(&self, event: &Event) -> Result<bool, ProjectError> {
        Ok(event.kind() == A::KIND)
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Event],
    ) -> Result<(), ProjectError> {
        let ours = batch.iter().filter(|event| event.kind() == A::KIND);
        let ours: Vec<(Uuid, &Event)> = ours.filter_map(|event| Some((event.uuid()?, event))).collect();
        if ours.is_empty() {
            return Ok(());
        }
        let table = table::<A>(version);
        let touched: BTreeSet<Uuid> = ours.iter().map(|(uuid, _)| *uuid).collect();
        let stored = rows::fetch(connection, &table, READ, &["uuid"], &rows::keys(&touched)).await?;
        let mut folded: BTreeMap<Uuid, Option<Folded<A>>> =
            touched.into_iter().map(|uuid| (uuid, None)).collect();
        for found in &stored {
            let row = row::<A>(found)?;
            folded.insert(row.uuid, Some(Folded { row, position: 0 }));
        }
        for (uuid, event) in ours {
            if let Some(before) = folded.get_mut(&uuid) {
                *before = fold(before.take().map(|folded| folded.row), uuid, event)?;
            }
        }
        let gone: Vec<&Uuid> = folded.iter().filter(|(_, row)| row.is_none()).map(|(uuid, _)| uuid).collect();
        rows::delete(connection, &table, "uuid", &rows::keys(gone)).await?;
        let [(one, _), (other, _)] = A::COLUMNS;
        let columns = ["uuid", "id", one, other, "state", "created_at", "updated_at", "position"];
        let target = Target { table: &table, columns: &columns, key: 1, known: Known::Replace };
        let rows = folded.into_values().flatten().map(Folded::cells).collect::<Result<_, _>>()?;
        Ok(target.write(connection, rows).await?)
    }
}

/// An entity with the place of the last event that changed it.
struct Folded<A> {
    row: EntityRow<A>,
    position: u64,
}

impl<A: Entity> Folded<A> {
    fn cells(self) -> Result<[Cell; 8], serde_json::Error> {
        let state = serde_json::to_string(&self.row.state)?;
        let [one, other] = self.row.state.keys().map(Cell::from);
        Ok([
            self.row.uuid.into(),
            self.row.state.id().into(),
            one,
            other,
            state.into(),
            self.row.created_at.into(),
            self.row.updated_at.into(),
            self.position.into(),
        ])
    }
}

/// The entity after `event`; `None` once it is gone.
fn fold<A: Entity>(
    before: Option<EntityRow<A>>,
    uuid: Uuid,
    event: &Event,
) -> Result<Option<Folded<A>>, ProjectError> {
    let decoded = event.decode::<A::Event>()?;
    let at = event.at();
    let times = before.as_ref().map(|before| match A::changes_row(&decoded, event.envelope().revision) {
        true => (before.created_at, Some(at)),
        false => (before.created_at, before.updated_at),
    });
    let state =
        A::evolve(before.map(|before| before.state), &decoded).map_err(|cause| event.unreadable(cause))?;
    if state.is_deleted() {
        return Ok(None);
    }
    let imported = state.imported().map(|times| (times.created_at.unwrap_or(at), times.updated_at));
    let (created_at, updated_at) = times.or(imported).unwrap_or((at, None));
    Ok(Some(Folded { row: EntityRow { uuid, state, created_at, updated_at }, position: event.order() }))
}
