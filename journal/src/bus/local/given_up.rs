//! What consumers of the bus gave up, until somebody has seen to it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::Utc;
use futures::{StreamExt, stream};
use tokio::sync::watch;

use crate::bus::delivery::{Settle, Verdict};
use crate::bus::{BusError, GaveUp, GivenUp, GivenUps, Message, Stream};

/// A message that a consumer gave up.
pub(super) struct Abandoned {
    pub(super) stream: Stream,
    pub(super) consumer: String,
    pub(super) sequence: u64,
    pub(super) deliveries: u64,
    pub(super) cause: GaveUp,
    pub(super) message: Message,
}

/// The messages given up, oldest first; no more than `capacity` are remembered. Clones are the same queue.
#[derive(Clone)]
pub(super) struct Queue {
    waiting: Arc<Mutex<VecDeque<Abandoned>>>,
    grown: watch::Sender<()>,
    capacity: usize,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { waiting: Arc::default(), grown: watch::Sender::new(()), capacity: capacity.max(1) }
    }

    pub(super) fn push(&self, abandoned: Vec<Abandoned>) {
        if abandoned.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        waiting.extend(abandoned);
        while waiting.len() > self.capacity {
            waiting.pop_front();
        }
        drop(waiting);
        self.grown.send_replace(());
    }

    /// What is waiting, and what comes.
    pub(super) fn follow(&self) -> GivenUps {
        let queue = (self.clone(), self.grown.subscribe());
        let given_up = stream::unfold(queue, |(queue, mut grown)| async move {
            loop {
                grown.mark_unchanged();
                let next = queue.lock().pop_front();
                if let Some(abandoned) = next {
                    return Some((Ok(queue.hand(abandoned)), (queue, grown)));
                }
                // The queue itself holds the sender, so this cannot fail.
                let _ = grown.changed().await;
            }
        });
        given_up.boxed()
    }

    fn hand(&self, abandoned: Abandoned) -> GivenUp {
        GivenUp {
            stream: abandoned.stream,
            consumer: abandoned.consumer.clone(),
            sequence: abandoned.sequence,
            deliveries: abandoned.deliveries,
            cause: abandoned.cause.clone(),
            at: Utc::now().into(),
            message: Some(abandoned.message.clone()),
            settle: Box::new(Taken { queue: self.clone(), abandoned: Mutex::new(Some(abandoned)) }),
        }
    }

    /// The queue is whole at every panic, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Abandoned>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that somebody sees to; dropped unsettled, it waits again.
struct Taken {
    queue: Queue,
    abandoned: Mutex<Option<Abandoned>>,
}

impl Taken {
    fn take(&self) -> Option<Abandoned> {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl Settle for Taken {
    async fn settle(&self, _: Verdict) -> Result<(), BusError> {
        self.take();
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.queue.push(self.take().into_iter().collect());
    }
}
