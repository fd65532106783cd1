//! One question for all who want to know whether a stream they know has gone on: most have not, and asking for each alone
//! would cost a command more than its append. Asked on a connection of its own: a pool asks each time whether it lives.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{
    ReadError,
    ends::Ends,
    sql::{Connect, Session, in_time},
};

/// Looks that wait; more wait outside.
const QUEUE: usize = 1024;
/// Most streams of one question.
const STREAMS: usize = 256;

/// The way to ask where streams end: looks of all callers, asked together. An answer is never older than its look.
pub(super) struct GroupLook {
    queue: mpsc::Sender<Look>,
}

struct Look {
    stream: String,
    answer: oneshot::Sender<Result<Option<u64>, ReadError>>,
}

impl GroupLook {
    /// Starts the one who asks, which ends when this is dropped.
    /// What it finds it leaves with `ends`: an append mostly follows.
    pub(super) fn start<C: Connect>(connect: Arc<C>, ends: Arc<Ends>) -> Self {
        let (queue, looks) = mpsc::channel(QUEUE);
        tokio::spawn(run(Asker { connect, session: None, ends }, looks));
        Self { queue }
    }

    /// The revision of the last event of a stream; `None` without one.
    pub(super) async fn end(&self, stream: &str) -> Result<Option<u64>, ReadError> {
        let stopped = || ReadError::Unavailable("the journal is closed".to_owned());
        let (answer, receive) = oneshot::channel();
        let look = Look { stream: stream.to_owned(), answer };
        self.queue.send(look).await.map_err(|_| stopped())?;
        receive.await.map_err(|_| stopped())?
    }
}

/// The connection that is asked; none after a failure.
struct Asker<C: Connect> {
    connect: Arc<C>,
    session: Option<C::Session>,
    ends: Arc<Ends>,
}

impl<C: Connect> Asker<C> {
    /// The last revisions of `streams`. A connection that was kept may have died since: then a new one is asked.
    async fn revisions(&mut self, streams: &[&str]) -> sqlx::Result<HashMap<String, u64>> {
        if let Some(kept) = self.session.take() {
            match self.ask(kept, streams).await {
                Err(error) if error.as_database_error().is_none() => {}
                answer => return answer,
            }
        }
        // Whoever answers now may have lost what was written last.
        self.ends.forget();
        let new = in_time(self.connect.connect()).await?;
        self.ask(new, streams).await
    }

    async fn ask(&mut self, mut session: C::Session, streams: &[&str]) -> sqlx::Result<HashMap<String, u64>> {
        // Mostly nobody else has written: one number says so for all streams.
        if self.ends.may_know(streams) {
            let head = in_time(session.head()).await?;
            if let Some(revisions) = self.ends.revisions_at(head, streams) {
                self.session = Some(session);
                return Ok(revisions);
            }
        }
        let era = self.ends.era();
        let last = in_time(session.known(streams, &[])).await?;
        self.session = Some(session);
        let revisions = last.iter().map(|event| (event.stream.clone(), event.revision)).collect();
        last.into_iter().for_each(|event| self.ends.found(era, event));
        Ok(revisions)
    }
}

async fn run<C: Connect>(mut asker: Asker<C>, mut looks: mpsc::Receiver<Look>) {
    let mut together = Vec::new();
    while looks.recv_many(&mut together, STREAMS).await > 0 {
        // Whoever no longer waits needs no answer.
        together.retain(|look| !look.answer.is_closed());
        if together.is_empty() {
            continue;
        }
        let mut streams: Vec<&str> = together.iter().map(|look| look.stream.as_str()).collect();
        streams.sort_unstable();
        streams.dedup();
        let found = asker.revisions(&streams).await;
        let last = found.map_err(|error| ReadError::Unavailable(error.to_string()));
        for Look { stream, answer } in together.drain(..) {
            let last: Result<&HashMap<String, u64>, _> = last.as_ref();
            let end = last.map(|last| last.get(&stream).copied()).map_err(Clone::clone);
            // A caller that went away meanwhile does not hear it.
            let _ = answer.send(end);
        }
    }
}
