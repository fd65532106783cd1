//! Ends, once, the work that another installation had under way when its subclouds were taken over (decisions.md,
//! "Import": answered as the rows say until workers first start). Each step is decided on the subcloud's own stream, so
//! it does no harm if several workers do it.

use std::sync::Arc;
use std::time::Duration;

use dcm_domain::subcloud::Rejection;
use dcm_domain::subcloud::command::RecoverImported;
use dcm_domain::value::Actor;
use dcm_journal::fleet::{Fleet, FleetError};
use dcm_journal::repository::Meta;
use dcm_journal::store::{Journal, ReadError};
use dcm_projections::ReadModels;
use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;

use crate::outage::Outage;

/// Between two looks at how far the read model is, and after something did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// Subclouds that are seen to at once: they share flushes of the journal, and its few readers.
const AT_ONCE: usize = 16;

/// What the recovery stands on.
#[derive(Clone)]
pub struct Recovery {
    /// Commands.
    pub fleet: Arc<Fleet>,
    /// Where to look for subclouds.
    pub models: Arc<ReadModels>,
    /// How far the read model has to be.
    pub journal: Arc<dyn Journal>,
}

/// Why it has to be tried again.
#[derive(Debug, thiserror::Error)]
enum NotRecovered {
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error("the read models do not answer: {0}")]
    Models(#[from] sqlx::Error),
    #[error(transparent)]
    Journal(#[from] ReadError),
}

impl Recovery {
    /// Ends what is under way without a run, then is done; what does not answer is asked again until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut outage = Outage::of("recovery of imported subclouds");
        let mut head = None;
        loop {
            match self.attempt(&mut head).await {
                Ok(true) => return,
                Ok(false) => outage.end(),
                Err(error) => outage.begin(&error),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Whether it is done; it is not while the read model is behind what was in the journal at the start.
    async fn attempt(&self, head: &mut Option<u64>) -> Result<bool, NotRecovered> {
        let wanted = match *head {
            Some(head) => head,
            None => *head.insert(self.journal.head().await?),
        };
        if self.models.subclouds().position().await?.0 < wanted {
            return Ok(false);
        }
        let rows = self.models.subclouds().all().await?;
        let orphaned = rows.into_iter().filter(|row| RecoverImported::applies_to(&row.subcloud));
        let recovered = stream::iter(orphaned.map(|row| row.uuid))
            .map(|subcloud| self.recover(subcloud))
            .buffer_unordered(AT_ONCE)
            .try_fold(0_usize, |sum, ended| async move { Ok(sum + usize::from(ended)) })
            .await?;
        if recovered > 0 {
            tracing::info!(subclouds = recovered, "ended what was under way when subclouds were taken over");
        }
        Ok(true)
    }

    async fn recover(&self, subcloud: uuid::Uuid) -> Result<bool, NotRecovered> {
        let meta = Meta::new(Actor::system("recovery"));
        match self.fleet.run(subcloud, &RecoverImported, &meta).await {
            Ok(done) => Ok(!done.events.is_empty()),
            // It was deleted meanwhile.
            Err(FleetError::Subcloud(Rejection::NotFound)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
