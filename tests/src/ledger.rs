//! A journal as its tables hold it, read past the program, and what must hold of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::{Subcloud, SubcloudEvent};
use dcm_journal::conformance::events::read_everything;
use dcm_journal::store::Journal;
use dcm_projections::ReadModels;
use dcm_schemas::{Envelope, JournalId, registry};
use sqlx::{AnyConnection, Connection};
use uuid::Uuid;

/// A stored event.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its place among all events.
    pub order: i64,
    /// What the column says.
    pub stream: String,
    /// What the column says.
    pub revision: i64,
    /// What the column says.
    pub id: String,
    /// What the column says.
    pub hash: String,
    /// The event, byte for byte.
    pub body: String,
}

/// Everything that is stored in a journal.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Which journal.
    pub journal: JournalId,
    /// Its events in order.
    pub events: Vec<Stored>,
}

/// A subcloud as its events tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// Its state.
    pub subcloud: Subcloud,
    /// Order of its last event.
    pub position: u64,
}

/// URL of the file of an embedded journal.
pub fn embedded(data_dir: &Path) -> String {
    format!("sqlite://{}", data_dir.join("journal.db").display())
}

impl Ledger {
    /// Reads the tables at `postgres://…` or [`embedded`].
    pub async fn read(url: &str) -> Self {
        let mut connection = connect(url).await;
        let journal: String = sqlx::query_scalar("select id from journal_meta")
            .fetch_one(&mut connection)
            .await
            .expect("an id");
        let text = "select ord, stream, revision, id, hash, body from journal_event order by ord";
        let rows: Vec<(i64, String, i64, String, String, String)> =
            sqlx::query_as(text).fetch_all(&mut connection).await.expect("read the journal");
        let events = rows
            .into_iter()
            .map(|(order, stream, revision, id, hash, body)| Stored {
                order,
                stream,
                revision,
                id,
                hash,
                body,
            })
            .collect();
        Self { journal: JournalId(journal.parse().expect("a uuid")), events }
    }

    /// Everything that an adapter of any store reads.
    pub async fn of(journal: &dyn Journal) -> Self {
        let all = read_everything(journal).await.expect("read the journal");
        let signed = |number: u64| i64::try_from(number).expect("an order or a revision");
        let events = all.into_iter().map(|event| Stored {
            order: signed(event.position.order),
            stream: event.envelope.stream.to_string(),
            revision: signed(event.envelope.revision),
            id: event.envelope.id.to_string(),
            hash: event.envelope.hash,
            body: event.body,
        });
        Self { journal: journal.id(), events: events.collect() }
    }

    /// The event of that order.
    pub fn at(&self, order: u64) -> Option<&Stored> {
        let place =
            self.events.binary_search_by_key(&i64::try_from(order).ok()?, |stored| stored.order).ok()?;
        self.events.get(place)
    }

    /// Order of the last event; 0 without any.
    pub fn head(&self) -> u64 {
        self.events.last().map_or(0, |stored| u64::try_from(stored.order).expect("an order"))
    }

    /// Every event, read.
    pub fn envelopes(&self) -> Vec<Envelope> {
        let read = |stored: &Stored| {
            serde_json::from_str(&stored.body).unwrap_or_else(|e| panic!("event {}: {e}", stored.order))
        };
        self.events.iter().map(read).collect()
    }

    /// Checks that orders are dense, streams without gaps, and every hash chain whole; says what is not.
    pub fn verify(&self) -> Result<(), String> {
        let mut last: HashMap<&str, (i64, &str)> = HashMap::new();
        for (place, stored) in (1..).zip(&self.events) {
            let wrong = |what: &dyn std::fmt::Debug| Err(format!("event {}: {what:?}", stored.order));
            if stored.order != place {
                return wrong(&format!("stands at {place}"));
            }
            let before = last.get(stored.stream.as_str()).copied();
            if stored.revision != before.map_or(0, |(revision, _)| revision + 1) {
                return wrong(&format!("revision {} after {before:?}", stored.revision));
            }
            if let Err(broken) = Envelope::verify(before.map(|(_, hash)| hash), &stored.body) {
                return wrong(&broken);
            }
            let Ok(envelope) = serde_json::from_str::<Envelope>(&stored.body) else {
                return wrong(&"no envelope");
            };
            let columns = (stored.stream.clone(), stored.revision, stored.id.clone(), stored.hash.clone());
            let revision = i64::try_from(envelope.revision).unwrap_or(-1);
            if columns != (envelope.stream.to_string(), revision, envelope.id.to_string(), envelope.hash) {
                return wrong(&"columns and event differ");
            }
            last.insert(&stored.stream, (stored.revision, &stored.hash));
        }
        Ok(())
    }

    /// Every subcloud folded from its events, deleted ones too.
    pub fn fold(&self) -> BTreeMap<Uuid, Folded> {
        let mut folded: BTreeMap<Uuid, Folded> = BTreeMap::new();
        for (stored, envelope) in self.events.iter().zip(self.envelopes()) {
            let order = u64::try_from(stored.order).expect("an order");
            let Some(uuid) = envelope.stream.uuid().filter(|_| envelope.stream.kind() == Subcloud::KIND)
            else {
                continue;
            };
            let event =
                registry::decode::<SubcloudEvent>(&envelope).unwrap_or_else(|e| panic!("{order}: {e}"));
            let before = folded.remove(&uuid).map(|folded| folded.subcloud);
            let subcloud = Subcloud::evolve(before, &event).unwrap_or_else(|e| panic!("{order}: {e}"));
            folded.insert(uuid, Folded { subcloud, position: order });
        }
        folded
    }

    /// Compares every row of the read model with the fold of the journal; the read model must have caught up.
    pub async fn compare_rows(&self, models: &Arc<ReadModels>) {
        let position = models.subclouds().position().await.expect("a position").0;
        assert_eq!(position, self.head(), "checkpoint and head");
        let folded = self.fold();
        for (uuid, folded) in &folded {
            let row = models.subclouds().by_uuid(*uuid).await.expect("read a row");
            let row = row.unwrap_or_else(|| panic!("{} has no row", folded.subcloud.name));
            let shown = Folded { subcloud: row.subcloud, position: row.position };
            assert_eq!(&shown, folded, "row and fold differ");
        }
        let shown: Vec<Uuid> =
            models.subclouds().all().await.expect("read all rows").into_iter().map(|row| row.uuid).collect();
        let mut living: Vec<(i64, Uuid)> = folded
            .iter()
            .filter(|(_, folded)| !folded.subcloud.deleted)
            .map(|(uuid, folded)| (folded.subcloud.id, *uuid))
            .collect();
        living.sort_unstable();
        assert_eq!(shown, living.into_iter().map(|(_, uuid)| uuid).collect::<Vec<_>>());
    }

    /// How many terminal events each requested run has.
    pub fn ends_of_runs(&self) -> BTreeMap<String, usize> {
        let mut ends = BTreeMap::new();
        for envelope in self.envelopes() {
            let Some(run) = envelope.data["run_id"].as_str() else { continue };
            match envelope.r#type.as_str() {
                "DeployRunRequested" => {
                    ends.entry(run.to_owned()).or_insert(0);
                }
                "DeployRunFinished" => *ends.entry(run.to_owned()).or_insert(0) += 1,
                _ => {}
            }
        }
        ends
    }

    /// Ids of all events, in order.
    pub fn ids(&self) -> Vec<Uuid> {
        self.envelopes().into_iter().map(|envelope| envelope.id).collect()
    }

    /// The requests that left something in the journal.
    pub fn requests(&self) -> HashSet<String> {
        self.envelopes().into_iter().filter_map(|envelope| envelope.request_id).collect()
    }
}

/// Runs and ends: how many were requested, how many have ended. Cheap enough to be polled.
pub async fn count_runs(url: &str) -> (i64, i64) {
    let mut connection = connect(url).await;
    let text = "select count(case when type = 'DeployRunRequested' then 1 end),
                       count(case when type = 'DeployRunFinished' then 1 end) from journal_event";
    sqlx::query_as(text).fetch_one(&mut connection).await.expect("count runs")
}

/// Replaces the stored text of one event, as nobody should.
pub async fn alter(url: &str, order: i64, body: &str) {
    let mut connection = connect(url).await;
    let done = sqlx::query("update journal_event set body = $1 where ord = $2").bind(body).bind(order);
    assert_eq!(done.execute(&mut connection).await.expect("alter an event").rows_affected(), 1);
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap_or_else(|e| panic!("connect to {url}: {e}"))
}
