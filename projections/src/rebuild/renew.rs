//! After an upgrade: read models whose tables another generation of the program made are filled anew, while the old ones
//! serve as long as they can.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use dcm_journal::outage::Told;
use dcm_journal::store::Journal;
use tokio_util::sync::CancellationToken;

use super::{RebuildError, RebuildOptions};
use crate::port::ReadModelStore;
use crate::store::ReadModels;

/// Pause before what failed, or what another process is at, is looked at again.
const PAUSE: Duration = Duration::from_secs(10);

/// A read model that an older program made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// Its name.
    pub name: &'static str,
    /// Whether it serves meanwhile.
    pub serves: bool,
}

impl ReadModels {
    /// The read models whose tables were made by an older generation than this program's; first those that are away until
    /// they are filled anew.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn outdated(&self) -> Result<Vec<Outdated>, sqlx::Error> {
        let places = crate::store::bounded(self.places()).await?;
        let older = places.iter().filter(|place| place.generation < place.projection.generation());
        let outdated = |place: &crate::place::Place| Outdated {
            name: place.projection.name(),
            serves: place.projection.knows(place.generation),
        };
        let mut all: Vec<Outdated> = older.map(outdated).collect();
        all.sort_by_key(|one| one.serves);
        Ok(all)
    }

    /// Rebuilds what is outdated, one after the other, until nothing is or `stop` is cancelled. Rows are not compared:
    /// their shape is another.
    pub async fn renew(
        self: &Arc<Self>,
        journal: &Arc<dyn Journal>,
        options: RebuildOptions,
        stop: &CancellationToken,
    ) {
        let (mut begun, told) = (HashSet::new(), Told::default());
        while !stop.is_cancelled() {
            let left = match self.outdated().await {
                Ok(outdated) if outdated.is_empty() => return,
                Ok(outdated) => {
                    for Outdated { name, .. } in outdated.iter().filter(|one| begun.insert(one.name)) {
                        tracing::info!(name, "made by an older program: filled anew");
                    }
                    self.renew_all(journal, options, stop, outdated, &told).await
                }
                Err(_) => true,
            };
            if left {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }

    /// True if some are left.
    async fn renew_all(
        self: &Arc<Self>,
        journal: &Arc<dyn Journal>,
        options: RebuildOptions,
        stop: &CancellationToken,
        outdated: Vec<Outdated>,
        told: &Told<&'static str>,
    ) -> bool {
        let mut left = false;
        for Outdated { name, .. } in outdated {
            let rebuilt = async { self.begin_rebuild(journal, name, options).await?.carry_out(stop).await };
            match rebuilt.await {
                Ok(_) => {}
                // Another process is at it.
                Err(RebuildError::Busy(_)) => left = true,
                Err(error) => {
                    if told.is_news(name, &error) {
                        tracing::warn!(name, %error, "not filled anew yet");
                    }
                    left = true;
                }
            }
        }
        left
    }
}
