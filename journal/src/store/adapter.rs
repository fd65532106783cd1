//! The journal on an SQL store: appends through the group commit, reads through the readers' pool.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_schemas::{Envelope, JournalId, Position, Recorded, StreamId};
use tokio::sync::watch;

use super::{
    Append, AppendError, Appended, Expected, Journal, NotAppended, ReadError, Traits,
    batch::{Known, PendingAppend},
    ends::Ends,
    group_commit::GroupCommit,
    group_look::GroupLook,
    sql::{Reader, unsigned},
};

/// A [`Journal`] of either engine.
pub(super) struct SqlJournal<R> {
    pub(super) id: JournalId,
    pub(super) reader: R,
    pub(super) ends: Arc<Ends>,
    pub(super) looks: GroupLook,
    pub(super) writer: GroupCommit,
}

impl<R: Reader> SqlJournal<R> {
    fn recorded(&self, (order, body): (i64, String)) -> Result<Recorded, ReadError> {
        let order = unsigned(order).map_err(|error| unreadable(&error))?;
        let envelope = serde_json::from_str(&body)
            .map_err(|error| ReadError::Corrupt { order, reason: error.to_string() })?;
        Ok(Recorded { position: Position { journal: self.id, order }, envelope, body })
    }
}

#[async_trait]
impl<R: Reader> Journal for SqlJournal<R> {
    fn id(&self) -> JournalId {
        self.id
    }

    fn traits(&self) -> Traits {
        Traits { orders_are_dense: true, ids_are_unique: true }
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<Envelope>,
    ) -> Result<Appended, AppendError> {
        self.writer.append(PendingAppend::new(stream, expected, events)?).await
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<(), NotAppended> {
        let mut pending = Vec::with_capacity(appends.len());
        for (at, Append { stream, expected, events }) in appends.into_iter().enumerate() {
            let append = PendingAppend::new(&stream, expected, events);
            pending.push(append.map_err(|cause| NotAppended { at, cause })?);
        }
        self.writer.append_all(pending).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let era = self.ends.era();
        let rows = self.reader.stream(stream.as_str(), from, limit).await.map_err(|e| unreadable(&e))?;
        let events = rows.into_iter().map(|row| self.recorded(row)).collect::<Result<Vec<_>, _>>()?;
        for (revision, event) in (from..).zip(&events) {
            if event.envelope.revision != revision || event.envelope.stream != *stream {
                let reason = format!("expected revision {revision} of {stream}");
                return Err(ReadError::Corrupt { order: event.position.order, reason });
            }
        }
        // Nothing follows the last one: an append, which mostly does, need not ask for it.
        if let Some(last) = events.last().filter(|_| events.len() < limit) {
            self.ends.found(era, Known::of(last));
        }
        Ok(events)
    }

    async fn ends_before(&self, stream: &StreamId, next: u64) -> Result<bool, ReadError> {
        Ok(self.looks.end(stream.as_str()).await?.is_none_or(|last| last < next))
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        let rows = self.reader.all(after, limit).await.map_err(|e| unreadable(&e))?;
        let events = rows.into_iter().map(|row| self.recorded(row)).collect::<Result<Vec<_>, _>>()?;
        for (order, event) in (after.saturating_add(1)..).zip(&events) {
            if event.position.order != order {
                return Err(ReadError::Corrupt { order, reason: "it is missing".to_owned() });
            }
        }
        Ok(events)
    }

    fn recent(&self, after: u64, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        self.writer.recent(after, limit)
    }

    async fn read_back(&self, until: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        let mut events = self.read_all(until.saturating_sub(limit as u64), limit).await?;
        events.retain(|event| event.position.order <= until);
        Ok(events)
    }

    async fn count_after(&self, after: u64, _: u64) -> Result<u64, ReadError> {
        Ok(self.head().await?.saturating_sub(after))
    }

    async fn head(&self) -> Result<u64, ReadError> {
        let head = self.reader.head().await.map_err(|e| unreadable(&e))?;
        unsigned(head).map_err(|e| unreadable(&e))
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.writer.appended()
    }
}

fn unreadable(error: &sqlx::Error) -> ReadError {
    ReadError::Unavailable(error.to_string())
}
