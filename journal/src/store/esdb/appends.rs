//! Appends over one stream of messages that stays open as long as its connection: each is one small message each way, and
//! many are under way at once. A call of its own for each costs several times as much (architecture.md, "Journal").

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::answer::Trouble;
use super::link::Streams;
use super::protocol::streams::batch_append_req::{Options, ProposedMessage};
use super::protocol::streams::batch_append_resp::{self, success};
use super::protocol::streams::{BatchAppendReq, BatchAppendResp};
use super::protocol::{Uuid, uuid};

/// Appends that wait to be sent; more wait for those.
const QUEUE: usize = 64;

/// The last event of an append, if the server said where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub revision: u64,
    pub order: Option<u64>,
}

type Answer = Result<Written, Trouble>;

/// The stream of appends of one connection. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub(super) struct Appends {
    requests: mpsc::Sender<BatchAppendReq>,
    waiting: Arc<Waiting>,
}

impl Appends {
    /// Opens the stream over a connection.
    pub(super) fn over(streams: Streams) -> Self {
        let (requests, queue) = mpsc::channel(QUEUE);
        let waiting = Arc::<Waiting>::default();
        tokio::spawn(follow(streams, queue, Arc::clone(&waiting)));
        Self { requests, waiting }
    }

    /// Appends once, and waits for the answer as long as the stream lives.
    pub(super) async fn append(&self, options: Options, messages: Vec<ProposedMessage>) -> Answer {
        let id = ::uuid::Uuid::new_v4();
        let answer = self.waiting.expect(id)?;
        let request = BatchAppendReq {
            correlation_id: Some(Uuid { value: Some(uuid::Value::String(id.to_string())) }),
            options: Some(options),
            proposed_messages: messages,
            is_final: true,
        };
        // A stream that has ended meanwhile tells so below.
        let _ = self.requests.send(request).await;
        answer.await.unwrap_or_else(|_| Err(Trouble::Broken("an append has no answer".to_owned())))
    }
}

/// Hands out the answers until there are no more.
async fn follow(mut streams: Streams, requests: mpsc::Receiver<BatchAppendReq>, waiting: Arc<Waiting>) {
    let answers = async {
        let mut answers = streams.batch_append(ReceiverStream::new(requests)).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            waiting.tell(answer);
        }
        Ok::<_, tonic::Status>(())
    };
    waiting.end(match answers.await {
        Ok(()) => Trouble::Broken("the stream of appends has ended".to_owned()),
        Err(status) => match Trouble::of(&status) {
            trouble @ (Trouble::NotLeader(_) | Trouble::Refused(_)) => trouble,
            trouble => Trouble::Broken(trouble.text()),
        },
    });
}

/// Who waits for which answer; why nobody does, once the stream has ended.
struct Waiting(Mutex<Result<HashMap<::uuid::Uuid, oneshot::Sender<Answer>>, Trouble>>);

impl Default for Waiting {
    fn default() -> Self {
        Self(Mutex::new(Ok(HashMap::new())))
    }
}

impl Waiting {
    fn expect(&self, id: ::uuid::Uuid) -> Result<oneshot::Receiver<Answer>, Trouble> {
        let (tell, answer) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_mut().map_err(|trouble| trouble.clone())?.insert(id, tell);
        Ok(answer)
    }

    fn tell(&self, answer: BatchAppendResp) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = correlation(&answer).and_then(|id| waiting.as_mut().ok()?.remove(&id));
        if let Some(asked) = asked {
            // Whoever asked may have given up.
            let _ = asked.send(outcome(answer.result));
        }
    }

    fn end(&self, trouble: Trouble) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, asked) in std::mem::replace(&mut *waiting, Err(trouble.clone())).into_iter().flatten() {
            let _ = asked.send(Err(trouble.clone()));
        }
    }
}

/// Servers give an id back in either of its forms.
fn correlation(answer: &BatchAppendResp) -> Option<::uuid::Uuid> {
    match answer.correlation_id.as_ref()?.value.as_ref()? {
        uuid::Value::String(text) => text.parse().ok(),
        uuid::Value::Structured(uuid::Structured { most_significant_bits, least_significant_bits }) => {
            let halves = (most_significant_bits.cast_unsigned(), least_significant_bits.cast_unsigned());
            Some(::uuid::Uuid::from_u64_pair(halves.0, halves.1))
        }
    }
}

fn outcome(result: Option<batch_append_resp::Result>) -> Answer {
    let success = match result {
        Some(batch_append_resp::Result::Success(success)) => success,
        Some(batch_append_resp::Result::Error(error)) => return Err(Trouble::told(&error)),
        None => return Err(Trouble::Broken("an append has no result".to_owned())),
    };
    let Some(success::CurrentRevisionOption::CurrentRevision(revision)) = success.current_revision_option
    else {
        return Err(Trouble::Broken("an append has no revision".to_owned()));
    };
    let order = match success.position_option {
        Some(success::PositionOption::Position(position)) => Some(position.commit_position),
        _ => None,
    };
    Ok(Written { revision, order })
}
