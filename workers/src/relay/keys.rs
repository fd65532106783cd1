//! The key of an event's subject. A subcloud's is its region, which only the first event of its stream tells.

use std::num::NonZeroUsize;

use dcm_domain::subcloud::SubcloudEvent;
use dcm_journal::store::{Journal, ReadError};
use dcm_schemas::{Envelope, Recorded, StreamId, registry, subjects};
use lru::LruCache;

/// Regions kept in memory; others are read again.
const CACHED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// Resolves streams to keys, with a bounded memory.
pub(super) struct Keys {
    regions: LruCache<StreamId, String>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { regions: LruCache::new(CACHED) }
    }
}

impl Keys {
    /// The key of the event's aggregate: the region of a subcloud, else [`subjects::key`]. A subcloud whose first event
    /// this program cannot read is keyed by its uuid, so that one damaged stream does not hold up the others.
    pub(super) async fn of(
        &mut self,
        journal: &dyn Journal,
        recorded: &Recorded,
    ) -> Result<String, ReadError> {
        let stream = &recorded.envelope.stream;
        if subjects::aggregate(stream) != subjects::SUBCLOUD {
            return Ok(subjects::key(stream));
        }
        if let Some(region) = self.regions.get(stream) {
            return Ok(region.clone());
        }
        let region = match recorded.envelope.revision {
            0 => region(&recorded.envelope),
            _ => journal.read_stream(stream, 0, 1).await?.first().and_then(|first| region(&first.envelope)),
        };
        let key = region.unwrap_or_else(|| {
            tracing::warn!(%stream, "the region of a subcloud cannot be read; its uuid is used on the bus");
            subjects::key(stream)
        });
        self.regions.put(stream.clone(), key.clone());
        Ok(key)
    }
}

/// The region that the first event of a stream tells.
fn region(first: &Envelope) -> Option<String> {
    match registry::decode::<SubcloudEvent>(first).ok()? {
        SubcloudEvent::SubcloudAdded(added) => Some(added.region.into()),
        SubcloudEvent::SubcloudImported(imported) => Some(imported.row.region.into()),
        SubcloudEvent::CreationAbandoned(abandoned) => Some(abandoned.region.into()),
        _ => None,
    }
}
