//! Proving that a read model is the fold of the journal: the journal is folded again, into a private temporary database,
//! up to where the read model is, and the rows are compared. What is served is only read.

use std::collections::BTreeSet;
use std::sync::Arc;

use dcm_journal::store::{Journal, ReadError};
use dcm_schemas::StreamId;
use sqlx::{AnyConnection, Connection, Executor, Row};
use uuid::Uuid;

use crate::batch::{self, Event};
use crate::compare::{self, Comparison, Connections, Difference, Sides, Walk};
use crate::projection::{ProjectError, Projection, Source};
use crate::store::{ReadModels, install_drivers, sql};

/// Events of one portion.
const BATCH: usize = 2000;
/// Version of the tables in the temporary database.
const SCRATCH: i64 = 1;

/// How much is folded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The whole journal.
    All,
    /// So many streams of each read model: half of them by its rows, half by events at random places of the journal,
    /// where its orders tell places. Read models that no single stream makes are left out.
    Sample(usize),
}

/// What the verification of one read model found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// The read model.
    pub name: String,
    /// The version that is read.
    pub version: i64,
    /// Order of the last event it shows: up to there the journal was folded.
    pub position: u64,
    /// Streams that were folded; `None` for all.
    pub streams: Option<usize>,
    /// How many of its rows were looked at.
    pub rows: u64,
    /// How many rows are not what the journal says.
    pub differing: u64,
    /// Those rows, at most a thousand of them.
    pub differences: Vec<Difference>,
    /// Why nothing was compared: an event that cannot be folded, or a sample that cannot be drawn.
    pub not_compared: Option<String>,
}

/// Why nothing was verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no such read model.
    #[error("there is no read model {0:?}")]
    Unknown(String),
    /// Journal or read models failed.
    #[error(transparent)]
    Project(#[from] ProjectError),
}

impl From<sqlx::Error> for VerifyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Project(error.into())
    }
}

impl From<ReadError> for VerifyError {
    fn from(error: ReadError) -> Self {
        Self::Project(error.into())
    }
}

impl ReadModels {
    /// Folds `journal` again and compares the rows of the read model `name`, or of all, with what comes out. Calls
    /// `progressed` with the order that was folded and the one it goes up to.
    ///
    /// # Errors
    /// [`VerifyError`]. That rows differ, or that an event cannot be folded, is none.
    pub async fn verify(
        self: &Arc<Self>,
        journal: &Arc<dyn Journal>,
        name: Option<&str>,
        extent: Extent,
        mut progressed: impl FnMut(u64, u64) + Send,
    ) -> Result<Vec<Verified>, VerifyError> {
        let chosen: Vec<&'static dyn Projection> = match name {
            None => self.projections().to_vec(),
            Some(name) => {
                vec![self.projection(name).ok_or_else(|| VerifyError::Unknown(name.to_owned()))?]
            }
        };
        let mut scratch = open_scratch(&chosen).await?;
        let mut checks = Vec::new();
        for projection in chosen {
            let (version, position) = self.place(projection).await?;
            checks.push(Check { projection, version, position, folded: 0, streams: None, failed: None });
        }
        match extent {
            Extent::All => fold_all(journal, &mut scratch, &mut checks, &mut progressed).await?,
            Extent::Sample(count) => {
                for check in &mut checks {
                    self.fold_some(journal, &mut scratch, check, count).await?;
                }
            }
        }
        let mut verified = Vec::new();
        for check in checks {
            verified.push(self.compare(journal, &mut scratch, check).await?);
        }
        scratch.close().await?;
        Ok(verified)
    }

    /// The version of a read model that is read, and where it is.
    async fn place(&self, projection: &dyn Projection) -> Result<(i64, u64), ProjectError> {
        let mut tx = self.reads.begin().await?;
        place(&mut tx, self, projection).await
    }

    /// Folds `count` streams.
    async fn fold_some(
        &self,
        journal: &Arc<dyn Journal>,
        scratch: &mut AnyConnection,
        check: &mut Check,
        count: usize,
    ) -> Result<(), VerifyError> {
        let Source::Each(kind) = check.projection.source() else {
            check.failed =
                Some("its rows come from several streams: only all of them can be compared".to_owned());
            return Ok(());
        };
        let streams = self.sample(journal, check, kind, count).await?;
        check.folded = check.position;
        for uuid in &streams {
            let stream = StreamId::aggregate(kind, *uuid);
            let mut from = 0;
            loop {
                let page = journal.read_stream(&stream, from, BATCH).await?;
                let Some(last) = page.last() else { break };
                from = last.envelope.revision + 1;
                let mut events = batch::events(page);
                events.retain(|event| event.order() <= check.position);
                check.apply(scratch, &events).await?;
            }
        }
        check.streams = Some(streams.into_iter().collect());
        Ok(())
    }

    /// Streams to look at.
    async fn sample(
        &self,
        journal: &Arc<dyn Journal>,
        check: &Check,
        kind: &str,
        count: usize,
    ) -> Result<BTreeSet<Uuid>, VerifyError> {
        let mut streams = BTreeSet::new();
        let places = if journal.traits().orders_are_dense { count / 2 } else { 0 };
        // Many places fall into streams of other kinds, or into one stream again.
        for _ in 0..places * 4 {
            if streams.len() >= places {
                break;
            }
            let place = random_below(check.position);
            let event = journal.read_back(place, 1).await?.pop();
            let stream = event.map(|event| event.envelope.stream).filter(|stream| stream.kind() == kind);
            streams.extend(stream.and_then(|stream| stream.uuid()));
        }
        for table in check.projection.tables() {
            let left = i64::try_from(count.saturating_sub(streams.len())).unwrap_or(i64::MAX);
            let text = format!(
                "select uuid from (select distinct uuid from {}) streams order by random() limit $1",
                table.named(check.version)
            );
            for row in sqlx::query(sql(text)).bind(left).fetch_all(&self.reads).await? {
                streams.extend(row.try_get::<String, _>(0)?.parse::<Uuid>().ok());
            }
        }
        Ok(streams)
    }

    /// Compares a read model with what was folded. Rows that differ are looked at again, at one moment of the read model
    /// and folded up to there: what is changed meanwhile is no difference.
    async fn compare(
        &self,
        journal: &Arc<dyn Journal>,
        scratch: &mut AnyConnection,
        mut check: Check,
    ) -> Result<Verified, VerifyError> {
        let mut comparison = Comparison::default();
        if check.failed.is_none() {
            let (projection, streams) = (check.projection, check.streams.clone());
            let mut reads = self.reads.acquire().await?;
            let connections = Connections::Two(&mut reads, &mut *scratch);
            let mut sides = Sides { connections, looked_at: check.version, right: SCRATCH };
            comparison = match &streams {
                None => {
                    let mut walk = Walk::new(projection);
                    while walk.step(&mut sides).await? {}
                    walk.end()
                }
                Some(uuids) => compare::some(projection, &mut sides, uuids).await?,
            };
        }
        if comparison.count() > 0 {
            comparison = self.compare_again(journal, scratch, &mut check, comparison).await?;
        }
        Ok(Verified {
            name: check.projection.name().to_owned(),
            version: check.version,
            position: check.position,
            streams: check.streams.map(|streams| streams.len()),
            rows: comparison.rows,
            differing: comparison.count(),
            differences: comparison.differences().to_vec(),
            not_compared: check.failed,
        })
    }

    async fn compare_again(
        &self,
        journal: &Arc<dyn Journal>,
        scratch: &mut AnyConnection,
        check: &mut Check,
        before: Comparison,
    ) -> Result<Comparison, VerifyError> {
        let mut tx = self.reads.begin().await?;
        if !self.embedded {
            tx.execute("set transaction isolation level repeatable read").await?;
        }
        let (version, position) = place(&mut tx, self, check.projection).await?;
        if version != check.version {
            check.failed = Some("another version was made the one that is read meanwhile".to_owned());
            return Ok(Comparison::default());
        }
        check.position = position;
        while check.folded < check.position && check.failed.is_none() {
            let mut events = batch::events(journal.read_all(check.folded, BATCH).await?);
            events.retain(|event| event.order() <= check.position);
            let Some(last) = events.last() else { break };
            check.folded = last.order();
            if let Some(streams) = &check.streams {
                events.retain(|event| event.uuid().is_some_and(|uuid| streams.contains(&uuid)));
            }
            check.apply(scratch, &events).await?;
        }
        let connections = Connections::Two(&mut tx, scratch);
        let mut sides = Sides { connections, looked_at: check.version, right: SCRATCH };
        Ok(compare::again(check.projection, &mut sides, &before).await?)
    }
}

/// The version of a read model that is read, and where it is.
async fn place(
    connection: &mut AnyConnection,
    models: &ReadModels,
    projection: &dyn Projection,
) -> Result<(i64, u64), ProjectError> {
    let version = ReadModels::active_version(connection, projection.name()).await?;
    let place = crate::checkpoint::position(connection, projection.name(), version).await?;
    match place.filter(|(journal, _)| *journal == models.journal.to_string()) {
        Some((_, position)) => Ok((version, position)),
        None => Err(ProjectError::ForeignJournal { name: projection.name() }),
    }
}

/// The verification of one read model.
struct Check {
    projection: &'static dyn Projection,
    version: i64,
    /// Up to where it is to be folded.
    position: u64,
    /// Up to where it was.
    folded: u64,
    /// What was folded, if not everything.
    streams: Option<Vec<Uuid>>,
    failed: Option<String>,
}

impl Check {
    /// Folds `events`; that one cannot be folded ends this check alone.
    async fn apply(&mut self, scratch: &mut AnyConnection, events: &[Event]) -> Result<(), ProjectError> {
        if self.failed.is_some() || events.is_empty() {
            return Ok(());
        }
        match self.projection.apply(scratch, SCRATCH, events).await {
            Err(error) if !error.is_transient() => {
                self.failed = Some(error.to_string());
                Ok(())
            }
            other => other,
        }
    }
}

/// Folds the journal once, for every check up to its own position.
async fn fold_all(
    journal: &Arc<dyn Journal>,
    scratch: &mut AnyConnection,
    checks: &mut [Check],
    progressed: &mut (impl FnMut(u64, u64) + Send),
) -> Result<(), VerifyError> {
    let until = checks.iter().map(|check| check.position).max().unwrap_or(0);
    let mut after = 0;
    while after < until {
        let events = batch::events(journal.read_all(after, BATCH).await?);
        let Some(last) = events.last() else { break };
        after = last.order();
        scratch.execute("begin").await?;
        for check in &mut *checks {
            let wanted = events.partition_point(|event| event.order() <= check.position);
            let wanted = events.get(..wanted).unwrap_or_default();
            check.apply(scratch, wanted).await?;
            check.folded = wanted.last().map_or(check.folded, Event::order);
        }
        scratch.execute("commit").await?;
        progressed(after.min(until), until);
    }
    Ok(())
}

/// A database of this connection alone: a temporary file without a name, which ends with the process at the latest.
async fn open_scratch(projections: &[&'static dyn Projection]) -> Result<AnyConnection, sqlx::Error> {
    install_drivers();
    let mut scratch = AnyConnection::connect("sqlite:").await?;
    for pragma in ["pragma synchronous = off", "pragma journal_mode = memory"] {
        scratch.execute(pragma).await?;
    }
    for projection in projections {
        for table in projection.tables() {
            scratch.execute(sql(table.create(SCRATCH, true))).await?;
        }
    }
    Ok(scratch)
}

/// A number from 1 to `most`, drawn anew each time.
fn random_below(most: u64) -> u64 {
    let (high, low) = Uuid::new_v4().as_u64_pair();
    (high ^ low) % most.max(1) + 1
}
