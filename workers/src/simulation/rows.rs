//! The read model of the simulated world and its projector: the steps of the product's, over rows in memory. The
//! product's own, which are made of SQL, are interleaved in the tests of the projections.

use std::sync::Arc;
use std::time::Duration;

use dcm_journal::store::Journal;
use tokio_util::sync::CancellationToken;

use super::checks;
use super::world::{Broken, Fate, Node};

const LOOK: Duration = Duration::from_millis(200);
const BATCH: usize = 20;

/// A projector under one epoch of its lease.
pub struct Projecting {
    pub node: Arc<Node>,
    pub journal: Arc<dyn Journal>,
    pub epoch: i64,
}

impl Projecting {
    /// Projects until `held` is cancelled. Where checkpoints have no fence, a step that is under way does not hear of it: that
    /// is what they have it for.
    pub async fn run(self, held: &CancellationToken) {
        let is_deaf = self.node.world.broken == Some(Broken::Checkpoint);
        while !held.is_cancelled() {
            let more = tokio::select! {
                biased;
                () = held.cancelled(), if !is_deaf => return,
                more = self.step() => more,
            };
            if more != Some(true) {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Reads the checkpoint, then what follows it, and commits both in one transaction that holds only if nobody moved
    /// the checkpoint meanwhile, nor holds it under a later epoch. `None` if it failed.
    async fn step(&self) -> Option<bool> {
        let node = &self.node;
        let world = &node.world;
        let mut fate = node.turn("begin", 0).await;
        if fate == Fate::Refused {
            return None;
        }
        let mut rows = world.truth().rows.clone();
        if !node.answered("begin", 0, fate).await {
            return None;
        }
        let batch = self.journal.read_all(rows.position, BATCH).await.ok()?;
        if batch.is_empty() {
            return Some(false);
        }
        let from = rows.position;
        for event in &batch {
            if let Err(error) = rows.apply(event) {
                world.truth().is_wrong(error);
            }
            rows.position = event.position.order;
        }
        rows.epoch = self.epoch;
        fate = node.turn("commit", 0).await;
        if fate == Fate::Refused {
            return None;
        }
        {
            let mut truth = world.truth();
            let stands = truth.rows.position == from && truth.rows.epoch <= self.epoch;
            if stands || world.broken == Some(Broken::Checkpoint) {
                world.note(format_args!("{} commits {from} to {}", node.name, rows.position));
                checks::at_commit(&mut truth, &rows);
                truth.rows = rows;
            } else {
                world.note(format_args!("{} is fenced off at {from}", node.name));
            }
        }
        node.answered("commit", 0, fate).await.then_some(batch.len() == BATCH)
    }
}
