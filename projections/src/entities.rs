//! Read models of small kinds: one row per entity, its folded state with its times, and columns for what is asked.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::ImportedTimes;
use dcm_domain::value::Timestamp;
use dcm_schemas::{Recorded, registry};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::checkpoint::signed;
use crate::groups::AnyQuery;
use crate::projection::{ProjectError, Projection};
use crate::store::{ReadModels, sql};

/// A value that entities are looked up by.
pub(crate) enum Key {
    /// A text.
    Text(String),
    /// An id.
    Number(i64),
}

impl Key {
    fn bind<'q>(self, query: AnyQuery<'q>) -> AnyQuery<'q> {
        match self {
            // PostgreSQL takes no NUL in a text; nothing is called so.
            Self::Text(text) => query.bind(text.replace('\0', "\u{fffd}")),
            Self::Number(number) => query.bind(number),
        }
    }
}

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
        let mut tx = self.models.reads.begin().await?;
        let version = ReadModels::active_version(&mut tx, A::MODEL).await?;
        let table = table::<A>(version);
        let text =
            format!("select uuid, state, created_at, updated_at from {table} where {condition} order by id");
        let query = keys.into_iter().fold(sqlx::query(sql(text)), |query, key| key.bind(query));
        query.fetch_all(&mut *tx).await?.iter().map(row).collect()
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

    fn tables(&self, version: i64) -> Vec<String> {
        let table = table::<A>(version);
        let [(one, one_type), (other, other_type)] = A::COLUMNS;
        vec![
            format!(
                "create table if not exists {table} (
                    uuid text primary key,
                    id bigint not null,
                    {one} {one_type} not null,
                    {other} {other_type} not null,
                    state text not null,
                    created_at bigint not null,
                    updated_at bigint,
                    position bigint not null
                )"
            ),
            format!("create index if not exists {table}_id on {table} (id)"),
            format!("create index if not exists {table}_{one} on {table} ({one})"),
            format!("create index if not exists {table}_{other} on {table} ({other})"),
        ]
    }

    fn table_names(&self, version: i64) -> Vec<String> {
        vec![table::<A>(version)]
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Recorded],
    ) -> Result<(), ProjectError> {
        for event in batch.iter().filter(|event| event.envelope.stream.kind() == A::KIND) {
            if let Some(uuid) = event.envelope.stream.uuid() {
                apply::<A>(connection, version, uuid, event).await?;
            }
        }
        Ok(())
    }
}

async fn apply<A: Entity>(
    connection: &mut AnyConnection,
    version: i64,
    uuid: Uuid,
    event: &Recorded,
) -> Result<(), ProjectError> {
    let unreadable = |cause| ProjectError::Unreadable { position: event.position, cause };
    let decoded = registry::decode::<A::Event>(&event.envelope).map_err(unreadable)?;
    let text =
        format!("select uuid, state, created_at, updated_at from {} where uuid = $1", table::<A>(version));
    let before = sqlx::query(sql(text)).bind(uuid.to_string()).fetch_optional(&mut *connection).await?;
    let before = before.as_ref().map(row::<A>).transpose()?;
    let at = event.envelope.recorded_at;
    let times = before.as_ref().map(|before| match A::changes_row(&decoded, event.envelope.revision) {
        true => (before.created_at, Some(at)),
        false => (before.created_at, before.updated_at),
    });
    let state =
        A::evolve(before.map(|before| before.state), &decoded).map_err(|cause| unreadable(cause.into()))?;
    if state.is_deleted() {
        let text = format!("delete from {} where uuid = $1", table::<A>(version));
        sqlx::query(sql(text)).bind(uuid.to_string()).execute(connection).await?;
        return Ok(());
    }
    let imported = state.imported().map(|times| (times.created_at.unwrap_or(at), times.updated_at));
    let (created_at, updated_at) = times.or(imported).unwrap_or((at, None));
    let row = EntityRow { uuid, state, created_at, updated_at };
    write(connection, version, &row, event.position.order).await
}

async fn write<A: Entity>(
    connection: &mut AnyConnection,
    version: i64,
    row: &EntityRow<A>,
    order: u64,
) -> Result<(), ProjectError> {
    let [(one, _), (other, _)] = A::COLUMNS;
    let text = format!(
        "insert into {} (uuid, id, {one}, {other}, state, created_at, updated_at, position)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (uuid) do update set id = excluded.id, {one} = excluded.{one}, {other} = excluded.{other},
            state = excluded.state, created_at = excluded.created_at, updated_at = excluded.updated_at,
            position = excluded.position",
        table::<A>(version)
    );
    let query = sqlx::query(sql(text)).bind(row.uuid.to_string()).bind(row.state.id());
    let query = row.state.keys().into_iter().fold(query, |query, key| key.bind(query));
    query
        .bind(serde_json::to_string(&row.state)?)
        .bind(row.created_at.micros())
        .bind(row.updated_at.map(Timestamp::micros))
        .bind(signed(order))
        .execute(connection)
        .await?;
    Ok(())
}
