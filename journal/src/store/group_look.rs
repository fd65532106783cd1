//! One question for all who want to know whether a stream they know has gone on: most have not, and asking for each alone
//! would cost a command more than its append.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot};

use super::{
    ReadError,
    sql::{Reader, unsigned},
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
    pub(super) fn start<R: Reader + 'static>(reader: R) -> Self {
        let (queue, looks) = mpsc::channel(QUEUE);
        tokio::spawn(run(reader, looks));
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

async fn run<R: Reader>(reader: R, mut looks: mpsc::Receiver<Look>) {
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
        let found = reader.ends(&streams).await;
        let ends = found.and_then(|found| {
            let known = found.into_iter().filter_map(|(stream, last)| Some((stream, last?)));
            known.map(|(stream, last)| Ok((stream, unsigned(last)?))).collect::<sqlx::Result<HashMap<_, _>>>()
        });
        let ends = ends.map_err(|error| ReadError::Unavailable(error.to_string()));
        for Look { stream, answer } in together.drain(..) {
            let end = ends.as_ref().map(|ends| ends.get(&stream).copied()).map_err(Clone::clone);
            // A caller that went away meanwhile does not hear it.
            let _ = answer.send(end);
        }
    }
}
