//! Appends of one caller that are written in one flush: all of them, or none.

use std::time::Instant;

use tokio::sync::oneshot;

use super::{Flushed, Flusher, GroupCommit};
use crate::store::{
    AppendError, NotAppended,
    batch::PendingAppend,
    sql::{Connect, PATIENCE},
};

/// Groups that wait; more wait outside.
pub(super) const QUEUE: usize = 16;

/// Appends that belong together.
pub(super) struct Group {
    appends: Vec<PendingAppend>,
    /// Past it, a group that no flush has taken is answered unavailable.
    deadline: Instant,
    answer: oneshot::Sender<Result<(), NotAppended>>,
}

impl GroupCommit {
    /// Queues appends that are written together, and waits for the answer. Takes no longer than a single one.
    pub(in crate::store) async fn append_all(&self, appends: Vec<PendingAppend>) -> Result<(), NotAppended> {
        if appends.is_empty() {
            return Ok(());
        }
        let (answer, receive) = oneshot::channel();
        let group = Group { appends, deadline: Instant::now() + PATIENCE, answer };
        match tokio::time::timeout(PATIENCE, self.groups.send(group)).await {
            Ok(Ok(())) => receive.await.map_err(|_| unavailable("the journal is closed"))?,
            Ok(Err(_)) => Err(unavailable("the journal is closed")),
            Err(_) => Err(unavailable("the queue is full")),
        }
    }
}

impl<C: Connect> Flusher<C> {
    /// Writes a group and answers it.
    pub(super) async fn flush_together(&mut self, group: Group) {
        let Group { appends, deadline, answer } = group;
        let outcome = match deadline < Instant::now() {
            true => Err(unavailable("waited too long in the queue")),
            false => self.write_together(appends).await,
        };
        // A caller that no longer waits does not hear the answer, and that is all.
        let _ = answer.send(outcome);
    }

    async fn write_together(&mut self, appends: Vec<PendingAppend>) -> Result<(), NotAppended> {
        let started = Instant::now();
        let outcome = {
            let appends: Vec<&PendingAppend> = appends.iter().collect();
            self.attempt_until_known(&appends, true).await
        };
        let Flushed { before, answers } = outcome.map_err(|failure| {
            failure.tell(appends.len());
            NotAppended { at: 0, cause: failure.error() }
        })?;
        metrics::histogram!("dcm_journal_flush_seconds").record(started.elapsed().as_secs_f64());
        metrics::counter!("dcm_journal_appends_total").increment(appends.len() as u64);
        let refused = answers.iter().enumerate().find_map(|(at, answer)| Some((at, answer.as_ref().err()?)));
        if let Some((at, cause)) = refused {
            return Err(NotAppended { at, cause: cause.clone() });
        }
        let mut written = Vec::new();
        for (append, last) in appends.into_iter().zip(answers.into_iter().flatten()) {
            // One that was repeated was written before, at an order of then.
            if last.order > before {
                written.extend(append.recorded(self.journal, last.order));
            }
        }
        self.publish(before, written);
        Ok(())
    }
}

fn unavailable(reason: &str) -> NotAppended {
    NotAppended { at: 0, cause: AppendError::Unavailable(reason.to_owned()) }
}
