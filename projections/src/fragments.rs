//! What a list shows for each subcloud, kept rendered in memory.
//!
//! Every list first asks one indexed query for what changed since the last one, then joins the pieces; the joined
//! body is kept until something changes.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::{Bytes, BytesMut};
use dcm_domain::value::Timestamp;
use tokio::sync::Mutex;

use crate::ask::Asks;
use crate::subclouds::{Changes, SubcloudRow, Subclouds};

/// Rendered rows of all subclouds, by id.
pub struct Fragments {
    subclouds: Subclouds,
    render: fn(&SubcloudRow) -> Vec<u8>,
    head: &'static [u8],
    tail: &'static [u8],
    asks: Asks,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    version: i64,
    position: u64,
    event_time: Option<Timestamp>,
    pieces: BTreeMap<i64, Bytes>,
    joined: Option<Bytes>,
}

impl Cache {
    fn place(&self) -> (i64, u64) {
        (self.version, self.position)
    }
}

/// A list, and where it was read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The whole body.
    pub body: Bytes,
    /// Position of the read model.
    pub position: u64,
    /// When the last event folded there was recorded.
    pub event_time: Option<Timestamp>,
    /// Id of the last entry of a page that is not the last one.
    pub next: Option<i64>,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries behind this id.
    pub after: i64,
    /// At most so many of them.
    pub limit: usize,
}

impl Fragments {
    /// A list of what `render` makes of each row, separated by commas, between `head` and `tail`.
    pub fn new(
        subclouds: Subclouds,
        head: &'static [u8],
        tail: &'static [u8],
        render: fn(&SubcloudRow) -> Vec<u8>,
    ) -> Self {
        Self { subclouds, render, head, tail, asks: Asks::default(), cache: Mutex::default() }
    }

    /// The list, or a page of it, as the read model has it now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(&self, page: Option<Page>) -> Result<Snapshot, sqlx::Error> {
        self.asks.once(self.subclouds.edition(), || self.refresh()).await?;
        let mut cache = self.cache.lock().await;
        let (body, next) = match page {
            Some(page) => self.page(&cache, page),
            None => (self.whole(&mut cache), None),
        };
        Ok(Snapshot { body, position: cache.position, event_time: cache.event_time, next })
    }

    /// Takes in what changed since the last time; only ever one at once.
    async fn refresh(&self) -> Result<(), sqlx::Error> {
        // What is read of another version is shown once all of it is there.
        let mut filling: Option<Cache> = None;
        loop {
            let (version, position) = match &filling {
                Some(cache) => cache.place(),
                None => self.cache.lock().await.place(),
            };
            let changes = self.subclouds.changes(version, position).await?;
            let more = changes.more;
            if changes.version != version {
                filling = Some(Cache::default());
            }
            match &mut filling {
                Some(cache) => self.take_in(cache, changes),
                None => self.take_in(&mut *self.cache.lock().await, changes),
            }
            if more {
                continue;
            }
            if let Some(filled) = filling {
                *self.cache.lock().await = filled;
            }
            return Ok(());
        }
    }

    fn whole(&self, cache: &mut Cache) -> Bytes {
        let joined = cache.joined.take();
        let joined = joined.unwrap_or_else(|| join(self.head, cache.pieces.values(), self.tail));
        cache.joined.insert(joined).clone()
    }

    fn page(&self, cache: &Cache, Page { after, limit }: Page) -> (Bytes, Option<i64>) {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let mut ids = cache.pieces.range(behind).map(|(id, _)| *id);
        let last = ids.by_ref().take(limit).last();
        let next = last.filter(|_| ids.next().is_some());
        let pieces = cache.pieces.range(behind).take(limit).map(|(_, piece)| piece);
        (join(self.head, pieces, self.tail), next)
    }

    fn take_in(&self, cache: &mut Cache, changes: Changes) {
        for row in &changes.rows {
            let piece = Bytes::from((self.render)(row));
            let changed = match row.subcloud.deleted {
                true => cache.pieces.remove(&row.subcloud.id).is_some(),
                false => cache.pieces.insert(row.subcloud.id, piece.clone()) != Some(piece),
            };
            if changed {
                cache.joined = None;
            }
        }
        cache.version = changes.version;
        cache.position = changes.position;
        cache.event_time = changes.event_time;
    }
}

fn join<'a>(head: &[u8], pieces: impl Iterator<Item = &'a Bytes> + Clone, tail: &[u8]) -> Bytes {
    let length = pieces.clone().map(|piece| piece.len() + 1).sum::<usize>();
    let mut body = BytesMut::with_capacity(head.len() + length + tail.len());
    body.extend_from_slice(head);
    for (index, piece) in pieces.enumerate() {
        if index > 0 {
            body.extend_from_slice(b",");
        }
        body.extend_from_slice(piece);
    }
    body.extend_from_slice(tail);
    body.freeze()
}
