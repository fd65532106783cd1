//! Folding deployment runs, which outlive the state of their subcloud.

use std::collections::{BTreeMap, BTreeSet};

use dcm_domain::subcloud::SubcloudEvent;
use dcm_domain::value::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::batch::Event;
use crate::projection::ProjectError;
use crate::rows::{self, Cell, Known, Target};
use crate::writing::Writing;

/// Every column, in the order rows are written and read.
const COLUMNS: [&str; 9] =
    ["run_id", "uuid", "phases", "requested_at", "claimed_at", "worker", "finished_at", "outcome", "error"];

/// The runs that a batch touches.
pub(super) struct Runs(BTreeMap<Uuid, Run>);

struct Run {
    run_id: Uuid,
    uuid: Uuid,
    phases: String,
    requested_at: Timestamp,
    claimed_at: Option<Timestamp>,
    worker: Option<String>,
    finished_at: Option<Timestamp>,
    outcome: Option<String>,
    error: Option<String>,
}

impl Runs {
    /// Reads those of before that `events` go on with.
    pub(super) async fn touched(
        connection: &mut AnyConnection,
        version: i64,
        events: &[(Uuid, &Event)],
    ) -> Result<Self, ProjectError> {
        let mut continued = BTreeSet::new();
        for (_, event) in events {
            match event.subcloud()? {
                SubcloudEvent::DeployRunClaimed(claimed) => continued.insert(claimed.run_id),
                SubcloudEvent::DeployRunFinished(finished) => continued.insert(finished.run_id),
                _ => false,
            };
        }
        let table = format!("deploy_run_v{version}");
        let columns = COLUMNS.join(", ");
        let found = rows::fetch(connection, &table, &columns, &["run_id"], &rows::keys(&continued)).await?;
        let runs = found.iter().map(|row| Run::read(row).map(|run| (run.run_id, run)));
        Ok(Self(runs.collect::<Result<_, _>>()?))
    }

    /// Takes in what `event` says of a run of the subcloud `uuid`.
    pub(super) fn fold(&mut self, uuid: Uuid, event: &Event) -> Result<(), ProjectError> {
        match event.subcloud()? {
            SubcloudEvent::DeployRunRequested(requested) => {
                let phases = requested.phases.iter().map(|phase| phase.as_str()).collect::<Vec<_>>();
                let run = Run {
                    run_id: requested.run_id,
                    uuid,
                    phases: phases.join(","),
                    requested_at: event.at(),
                    claimed_at: None,
                    worker: None,
                    finished_at: None,
                    outcome: None,
                    error: None,
                };
                self.0.insert(run.run_id, run);
            }
            SubcloudEvent::DeployRunClaimed(claimed) => {
                if let Some(run) = self.0.get_mut(&claimed.run_id) {
                    run.worker = Some(claimed.worker.clone());
                    run.claimed_at = Some(event.at());
                }
            }
            SubcloudEvent::DeployRunFinished(finished) => {
                if let Some(run) = self.0.get_mut(&finished.run_id) {
                    run.outcome = Some(finished.outcome.as_str().to_owned());
                    run.error.clone_from(&finished.error);
                    run.finished_at = Some(event.at());
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes them all.
    pub(super) async fn write(self, writing: &mut Writing<'_>, version: i64) -> Result<(), sqlx::Error> {
        let table = format!("deploy_run_v{version}");
        let target = Target { table: &table, columns: &COLUMNS, key: 1, known: Known::Replace };
        writing.write(target, self.0.into_values().map(Run::cells).collect()).await
    }
}

impl Run {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let time = |index: usize| {
            Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(index)?.map(Timestamp::from_micros))
        };
        Ok(Self {
            run_id: super::query::uuid(row, 0)?,
            uuid: super::query::uuid(row, 1)?,
            phases: row.try_get(2)?,
            requested_at: Timestamp::from_micros(row.try_get(3)?),
            claimed_at: time(4)?,
            worker: row.try_get(5)?,
            finished_at: time(6)?,
            outcome: row.try_get(7)?,
            error: row.try_get(8)?,
        })
    }

    fn cells(self) -> [Cell; COLUMNS.len()] {
        [
            self.run_id.into(),
            self.uuid.into(),
            self.phases.into(),
            self.requested_at.into(),
            self.claimed_at.into(),
            self.worker.into(),
            self.finished_at.into(),
            self.outcome.into(),
            self.error.into(),
        ]
    }
}
