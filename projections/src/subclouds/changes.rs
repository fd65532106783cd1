//! What changed of subclouds, and single rows with their place: one statement each, which is one moment and one round trip.

use std::sync::atomic::Ordering;

use dcm_domain::value::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::PROJECTION;
use super::query::Subclouds;
use super::row::SubcloudRow;
use crate::checkpoint::signed;
use crate::projection::Projection;
use crate::store::{ReadModels, bounded, sql};

/// What changed after a position.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Version of the read model they were read from.
    pub version: i64,
    /// Position they were read at.
    pub position: u64,
    /// When the last event folded there was recorded.
    pub event_time: Option<Timestamp>,
    /// Rows that changed, deleted ones included, in the order of their last events.
    pub rows: Vec<SubcloudRow>,
    /// Whether there are more, behind `position`.
    pub more: bool,
}

/// What a subcloud is looked up by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Its id.
    Id(i64),
    /// Its name.
    Name(String),
    /// Its region.
    Region(String),
}

/// Which subclouds changed after a position.
pub(crate) struct News {
    pub version: i64,
    pub position: u64,
    pub event_time: Option<Timestamp>,
    /// `None` if all may have: they are too many, or another version is active.
    pub changed: Option<Vec<Uuid>>,
}

/// One row, and where it was read.
pub(crate) struct Read {
    pub row: Option<SubcloudRow>,
    pub version: i64,
    pub position: u64,
    pub event_time: Option<Timestamp>,
}

/// What a statement found that was made for one version.
enum Active {
    /// That version is active; rows, position, and when the last event folded there was recorded.
    This(Vec<AnyRow>, u64, Option<Timestamp>),
    /// Another is.
    Other(i64),
}

/// Columns that tell whether a statement was made for the version that is active, and where that is.
const OF_ACTIVE: &str = "select m.active_version, c.position, c.event_time";
const CHECKPOINT: &str = "join projection_checkpoint c on c.name = m.name and c.version = m.active_version";
/// Rows of one statement: the first list of a large fleet takes several, each in its time.
const MOST_ROWS: usize = 5000;
/// More changes than these are not told one by one. To be told costs less than to read again what did not change.
const MOST_NEWS: usize = 10_000;

impl Changes {
    /// If these are as many as were asked for, there may be more behind the last of them.
    fn up_to(self, asked: usize) -> Self {
        match self.rows.last() {
            Some(last) if self.rows.len() == asked => {
                let (position, event_time) = (last.position, Some(last.event_time));
                Self { position, event_time, more: true, ..self }
            }
            _ => self,
        }
    }
}

impl Subclouds {
    /// The rows that changed after `position`, which was read from `version`. If another version is active by now,
    /// every row is a change. One statement, and so one moment; of very many changes, the first ones.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn changes(&self, version: i64, position: u64) -> Result<Changes, sqlx::Error> {
        let guessed = self.version.load(Ordering::Relaxed);
        let (mut version, mut position) = if version == 0 { (guessed, 0) } else { (version, position) };
        loop {
            let text = since(Asked::Row, version, &format!(" order by x.position limit {MOST_ROWS}"));
            let rows = sqlx::query(sql(text)).bind(signed(position)).fetch_all(&self.models.reads);
            match self.as_active(version, bounded(rows).await).await? {
                Active::Other(active) => (version, position) = (active, 0),
                Active::This(rows, position, event_time) => {
                    let rows: Vec<SubcloudRow> =
                        some(&rows).map(|state| decoded(&state?)).collect::<Result<_, _>>()?;
                    let changes = Changes { version, position, event_time, rows, more: false };
                    return Ok(changes.up_to(MOST_ROWS));
                }
            }
        }
    }

    /// Which subclouds changed after `position`, which was read from `version`; one statement.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn news(&self, version: i64, position: u64) -> Result<News, sqlx::Error> {
        let mut asked = version;
        loop {
            let text = since(Asked::Subcloud, asked, &format!(" limit {}", MOST_NEWS + 1));
            let rows = sqlx::query(sql(text)).bind(signed(position)).fetch_all(&self.models.reads);
            let (rows, position, event_time) = match self.as_active(asked, bounded(rows).await).await? {
                Active::Other(active) => {
                    asked = active;
                    continue;
                }
                Active::This(rows, position, event_time) => (rows, position, event_time),
            };
            let changed = some(&rows)
                .map(|uuid| uuid?.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into())));
            let changed = match asked == version && rows.len() <= MOST_NEWS {
                true => Some(changed.collect::<Result<_, _>>()?),
                false => None,
            };
            return Ok(News { version: asked, position, event_time, changed });
        }
    }

    /// The row of one subcloud that is not deleted, and where it was read; one statement.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn read(&self, key: &Key) -> Result<Read, sqlx::Error> {
        let column = match key {
            Key::Id(_) => "id",
            Key::Name(_) => "name",
            Key::Region(_) => "region",
        };
        let mut version = self.version.load(Ordering::Relaxed);
        loop {
            let text = format!(
                "{OF_ACTIVE}, s.state from read_model m {CHECKPOINT}
                 left join subcloud_v{version} s on s.{column} = $1 and s.deleted = 0
                 where m.name = 'subclouds'"
            );
            let query = sqlx::query(sql(text));
            let query = match key {
                Key::Id(id) => query.bind(*id),
                Key::Name(text) | Key::Region(text) => query.bind(text.replace('\0', "\u{fffd}")),
            };
            match self.as_active(version, bounded(query.fetch_all(&self.models.reads)).await).await? {
                Active::Other(active) => version = active,
                Active::This(rows, position, event_time) => {
                    let row = some(&rows).next().map(|state| decoded(&state?)).transpose()?;
                    return Ok(Read { row, version, position, event_time });
                }
            }
        }
    }

    /// Whether `rows`, asked of `version`, are of the version that is active. A version that is no more has no tables.
    async fn as_active(&self, version: i64, rows: sqlx::Result<Vec<AnyRow>>) -> Result<Active, sqlx::Error> {
        let rows = match rows {
            Ok(rows) => rows,
            Err(error @ sqlx::Error::Database(_)) => {
                let mut connection = self.models.reads.acquire().await?;
                let active = ReadModels::active_version(&mut connection, PROJECTION.name()).await?;
                if active == version {
                    return Err(error);
                }
                self.version.store(active, Ordering::Relaxed);
                return Ok(Active::Other(active));
            }
            Err(error) => return Err(error),
        };
        let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let active = first.try_get(0)?;
        if active != version {
            self.version.store(active, Ordering::Relaxed);
            return Ok(Active::Other(active));
        }
        let position = u64::try_from(first.try_get::<i64, _>(1)?).unwrap_or(0);
        let event_time = first.try_get::<Option<i64>, _>(2)?.map(Timestamp::from_micros);
        Ok(Active::This(rows, position, event_time))
    }
}

/// What is asked of a subcloud that changed.
#[derive(Clone, Copy)]
enum Asked {
    /// Which it is.
    Subcloud,
    /// Its row, as it is by now.
    Row,
}

/// The statement for what changed in `version` after a position, its only parameter.
fn since(asked: Asked, version: i64, limit: &str) -> String {
    let (column, rows) = match asked {
        Asked::Subcloud => ("x.uuid", String::new()),
        Asked::Row => ("s.state", format!(" left join subcloud_v{version} s on s.uuid = x.uuid")),
    };
    format!(
        "{OF_ACTIVE}, {column} from read_model m {CHECKPOINT}
         left join subcloud_change_v{version} x on x.position > $1{rows}
         where m.name = 'subclouds'{limit}"
    )
}

/// The texts that were joined to [`OF_ACTIVE`].
fn some(rows: &[AnyRow]) -> impl Iterator<Item = Result<String, sqlx::Error>> {
    rows.iter().filter_map(|row| row.try_get::<Option<String>, _>(3).transpose())
}

fn decoded(state: &str) -> Result<SubcloudRow, sqlx::Error> {
    serde_json::from_str(state).map_err(|error| sqlx::Error::Decode(error.into()))
}
