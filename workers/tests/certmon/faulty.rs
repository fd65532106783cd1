//! A journal that can be told to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use dcm_journal::store::{AppendError, Appended, Expected, Journal, ReadError, Traits};
use dcm_schemas::{Envelope, JournalId, Recorded, StreamId};
use tokio::sync::watch;

pub struct Faulty {
    inner: Arc<dyn Journal>,
    down: AtomicBool,
    appends_left: AtomicI64,
}

impl Faulty {
    pub fn over(inner: Arc<dyn Journal>) -> Arc<Self> {
        Arc::new(Self { inner, down: AtomicBool::new(false), appends_left: AtomicI64::new(i64::MAX) })
    }

    /// Whether nothing can be read or written.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Lets only so many more appends through.
    pub fn allow_appends(&self, count: i64) {
        self.appends_left.store(count, Ordering::SeqCst);
    }

    fn readable(&self) -> Result<(), ReadError> {
        match self.down.load(Ordering::SeqCst) {
            true => Err(ReadError::Unavailable("pulled out".to_owned())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Journal for Faulty {
    fn id(&self) -> JournalId {
        self.inner.id()
    }

    fn traits(&self) -> Traits {
        self.inner.traits()
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<Envelope>,
    ) -> Result<Appended, AppendError> {
        let spent = self.appends_left.fetch_sub(1, Ordering::SeqCst) <= 0;
        if spent || self.down.load(Ordering::SeqCst) {
            return Err(AppendError::Unavailable("pulled out".to_owned()));
        }
        self.inner.append(stream, expected, events).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        self.readable()?;
        self.inner.read_stream(stream, from, limit).await
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        self.readable()?;
        self.inner.read_all(after, limit).await
    }

    async fn read_back(&self, until: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        self.readable()?;
        self.inner.read_back(until, limit).await
    }

    async fn count_after(&self, after: u64, limit: u64) -> Result<u64, ReadError> {
        self.readable()?;
        self.inner.count_after(after, limit).await
    }

    async fn head(&self) -> Result<u64, ReadError> {
        self.readable()?;
        self.inner.head().await
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.inner.appended()
    }
}
