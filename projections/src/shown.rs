//! What is shown of single subclouds, kept rendered in memory.
//!
//! What is kept is given again only after the database said that nothing changed of it since. What is not kept is read,
//! with the position it was read at, in one statement.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dcm_domain::value::Timestamp;
use lru::LruCache;
use uuid::Uuid;

use crate::ask::Asks;
use crate::subclouds::{Key, News, SubcloudRow, Subclouds};

/// How much is kept, in bytes: about as much as a hundred thousand answers take. Only a fleet as large takes as much.
const KEPT: usize = 256 << 20;
/// About what an answer takes beside its key and its body.
const OVERHEAD: usize = 256;

/// Rendered answers for single subclouds.
pub struct Shown {
    subclouds: Subclouds,
    render: fn(&SubcloudRow) -> Vec<u8>,
    asks: Asks,
    cache: Mutex<Cache>,
}

struct Cache {
    /// Version of the read model that everything kept was read from.
    version: i64,
    /// Everything kept is as it was here.
    position: u64,
    event_time: Option<Timestamp>,
    bodies: LruCache<Key, (Uuid, Bytes)>,
    /// How much `bodies` takes.
    bytes: usize,
    /// The keys under which a subcloud's answer is kept.
    keys: HashMap<Uuid, Vec<Key>>,
}

/// What is shown of one subcloud, and where it was read.
#[derive(Clone, Debug)]
pub struct One {
    /// The body; `None` if there is no such subcloud.
    pub body: Option<Bytes>,
    /// Position of the read model.
    pub position: u64,
    /// When the last event folded there was recorded.
    pub event_time: Option<Timestamp>,
}

impl Shown {
    /// Shows what `render` makes of a row.
    pub fn new(subclouds: Subclouds, render: fn(&SubcloudRow) -> Vec<u8>) -> Self {
        let cache = Cache {
            version: 0,
            position: 0,
            event_time: None,
            bodies: LruCache::unbounded(),
            bytes: 0,
            keys: HashMap::new(),
        };
        Self { subclouds, render, asks: Asks::default(), cache: Mutex::new(cache) }
    }

    /// What is shown of the subcloud `key` now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn get(&self, key: &Key) -> Result<One, sqlx::Error> {
        if self.cache().bodies.contains(key) {
            self.asks.once(self.subclouds.edition(), || self.refresh()).await?;
            if let Some(one) = self.cache().get(key) {
                return Ok(one);
            }
        }
        // In a box: most are shown from memory, and would carry the room for the question with them.
        Box::pin(self.read(key)).await
    }

    async fn read(&self, key: &Key) -> Result<One, sqlx::Error> {
        let read = self.subclouds.read(key).await?;
        let Some(row) = &read.row else {
            return Ok(One { body: None, position: read.position, event_time: read.event_time });
        };
        // Without room to spare, so that it takes as much memory as it is counted for.
        let body = Bytes::from((self.render)(row).into_boxed_slice());
        let one = One { body: Some(body.clone()), position: read.position, event_time: read.event_time };
        let mut cache = self.cache();
        if cache.bodies.is_empty() {
            (cache.version, cache.position) = (read.version, read.position);
            cache.event_time = read.event_time;
        }
        // What changed between the reading and where the cache is by now has been asked for, and is not again.
        if cache.version == read.version && cache.position <= read.position {
            cache.keep(key.clone(), row.uuid, body);
        }
        Ok(one)
    }

    /// Forgets what changed since the last time.
    async fn refresh(&self) -> Result<(), sqlx::Error> {
        let (version, position) = {
            let cache = self.cache();
            (cache.version, cache.position)
        };
        let news = self.subclouds.news(version, position).await?;
        self.cache().forget(news);
        Ok(())
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn get(&mut self, key: &Key) -> Option<One> {
        let (_, body) = self.bodies.get(key)?;
        Some(One { body: Some(body.clone()), position: self.position, event_time: self.event_time })
    }

    fn keep(&mut self, key: Key, uuid: Uuid, body: Bytes) {
        self.bytes += size(&key, &body);
        if let Some((key, (uuid, body))) = self.bodies.push(key.clone(), (uuid, body)) {
            self.forget_one(uuid, &key, &body);
        }
        self.keys.entry(uuid).or_default().push(key);
        while self.bytes > KEPT
            && let Some((key, (uuid, body))) = self.bodies.pop_lru()
        {
            self.forget_one(uuid, &key, &body);
        }
    }

    /// After an answer was taken out.
    fn forget_one(&mut self, uuid: Uuid, key: &Key, body: &Bytes) {
        self.bytes = self.bytes.saturating_sub(size(key, body));
        self.drop_key(uuid, key);
    }

    fn drop_key(&mut self, uuid: Uuid, key: &Key) {
        if let Some(keys) = self.keys.get_mut(&uuid) {
            keys.retain(|kept| kept != key);
            if keys.is_empty() {
                self.keys.remove(&uuid);
            }
        }
    }

    fn forget(&mut self, news: News) {
        match news.changed {
            Some(changed) => {
                for uuid in changed {
                    for key in self.keys.remove(&uuid).into_iter().flatten() {
                        if let Some((_, body)) = self.bodies.pop(&key) {
                            self.bytes = self.bytes.saturating_sub(size(&key, &body));
                        }
                    }
                }
            }
            None => {
                self.bodies.clear();
                self.bytes = 0;
                self.keys.clear();
            }
        }
        (self.version, self.position, self.event_time) = (news.version, news.position, news.event_time);
    }
}

/// About how much memory an answer takes.
fn size(key: &Key, body: &Bytes) -> usize {
    let name = match key {
        Key::Id(_) => 0,
        Key::Name(text) | Key::Region(text) => text.len(),
    };
    // The key is there twice: for the answer, and for the subcloud whose answer it is.
    OVERHEAD + body.len() + 2 * name
}
