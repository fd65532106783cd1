//! What a projection remembers of its rows from one batch to the next.
//!
//! It holds for one version, as long as every batch in between was committed by the same task: whoever else moves the
//! checkpoint fences this task off, and then it forgets. What is remembered need not be read back and parsed.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;

use lru::LruCache;
use uuid::Uuid;

use crate::subclouds::SubcloudRow;

/// Rows that are remembered at most.
const ROWS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);

/// The memory of one version of a read model: empty at first, to be dropped with a batch that was not committed.
pub struct Memory {
    pub(crate) subclouds: LruCache<Uuid, SubcloudRow>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { subclouds: LruCache::new(ROWS) }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("subclouds", &self.subclouds.len()).finish()
    }
}

/// The memories of several versions.
pub(crate) type Memories = HashMap<(&'static str, i64), Memory>;
