//! Single calls: what is asked, on which connection, how often and how long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use super::answer::Trouble;
use super::appends::Written;
use super::link::{Connected, Link};
use super::protocol::streams::batch_append_req::options::{DeadlineOption, ExpectedStreamPosition};
use super::protocol::streams::batch_append_req::{self, ProposedMessage};
use super::protocol::streams::read_req::options::{
    AllOptions, CountOption, FilterOption, FilterOptions, ReadDirection, StreamOption, StreamOptions,
    UuidOption, all_options::AllOption, filter_options, stream_options::RevisionOption, uuid_option,
};
use super::protocol::streams::read_req::{self, options};
use super::protocol::streams::read_resp::{self, read_event::RecordedEvent};
use super::protocol::streams::{DeleteReq, ReadReq, delete_req};
use super::protocol::{Empty, StreamIdentifier, Uuid, uuid};

/// An event on its way into the store.
pub(super) type Message = ProposedMessage;

/// How long a call may take with everything that belongs to it, repetitions too, before the store counts as unavailable.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The same for reading all streams, where the server may have to look at much that is not ours.
pub(super) const SCAN_PATIENCE: Duration = Duration::from_secs(8);
/// First pause before a call is repeated; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);
/// Calls under way at once; more wait.
const CALLS: usize = 128;
/// Events the server looks at before it goes on with its answer.
const SEARCH_WINDOW: u32 = 2000;

/// Where reading all streams begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// At the event of this position or the first one after it.
    Position(u64),
    /// Backwards only: before this position.
    Before(u64),
    /// Backwards only.
    End,
}

impl From {
    /// Where to go on behind the event at `last`.
    fn go_on(self, last: u64) -> Self {
        match self {
            Self::Position(_) => Self::Position(last),
            Self::Before(_) | Self::End => Self::Before(last),
        }
    }

    /// Whether the event at `last` is the very one that reading began with.
    fn is_at(self, last: u64) -> bool {
        matches!(self, Self::Position(position) if position == last)
    }

    /// How many events an answer from here has that are known already, once it is gone on with.
    fn repeated(self) -> usize {
        usize::from(matches!(self, Self::Position(_)))
    }

    /// Whether an event of an answer from here is not known already, once it is gone on with.
    fn brings(self, event: &RecordedEvent) -> bool {
        !self.is_at(event.commit_position)
    }
}

/// Makes calls; clones share the connection.
#[derive(Clone)]
pub(super) struct Calls {
    link: Arc<Link>,
    places: Arc<Semaphore>,
}

impl Calls {
    /// Calls over `link`.
    pub(super) fn new(link: Link) -> Self {
        Self { link: Arc::new(link), places: Arc::new(Semaphore::new(CALLS)) }
    }

    /// At most `count` events of a stream of the store, from revision `from` on; none if there is no such stream.
    pub(super) async fn read_stream(
        &self,
        name: &str,
        from: u64,
        count: usize,
    ) -> Result<Vec<RecordedEvent>, Trouble> {
        let (mut events, mut from): (Vec<RecordedEvent>, _) = (Vec::new(), from);
        while events.len() < count {
            let place = RevisionOption::Revision(from);
            let left = count - events.len();
            let page =
                self.read(PATIENCE, stream_request(name, ReadDirection::Forwards, place, left)).await?;
            // A server may end an answer early. Only one without an event says that there is none.
            let Some(last) = page.last() else { break };
            from = last.stream_revision + 1;
            events.extend(page);
        }
        Ok(events)
    }

    /// The last event of a stream of the store.
    pub(super) async fn last_of(&self, name: &str) -> Result<Option<RecordedEvent>, Trouble> {
        let place = RevisionOption::End(Empty {});
        let read = self.read(PATIENCE, stream_request(name, ReadDirection::Backwards, place, 1)).await?;
        Ok(read.into_iter().next())
    }

    /// At most `count` events whose streams begin with one of `prefixes`, in the order of the store or backwards.
    pub(super) async fn read_all(
        &self,
        prefixes: Vec<String>,
        from: From,
        count: usize,
    ) -> Result<Vec<RecordedEvent>, Trouble> {
        let expression = filter_options::Expression { regex: String::new(), prefix: prefixes };
        let filter = FilterOption::Filter(FilterOptions {
            filter: Some(filter_options::Filter::StreamIdentifier(expression)),
            window: Some(filter_options::Window::Max(SEARCH_WINDOW)),
        });
        let (mut events, mut from): (Vec<RecordedEvent>, _) = (Vec::new(), from);
        while events.len() < count {
            let asked = if events.is_empty() { count } else { count - events.len() + from.repeated() };
            let page = self.read(SCAN_PATIENCE, all_request(from, asked, filter.clone())).await?;
            let page = page.into_iter().filter(|event| events.is_empty() || from.brings(event));
            let news: Vec<RecordedEvent> = page.collect();
            // As above; and where only the event is found that was asked from, there is none behind it.
            let Some(last) = news.last().map(|event| event.commit_position) else { break };
            let is_all = from.is_at(last);
            events.extend(news);
            if is_all {
                break;
            }
            from = from.go_on(last);
        }
        Ok(events)
    }

    /// The store's very last event, whosever it is.
    pub(super) async fn last_of_all(&self) -> Result<Option<RecordedEvent>, Trouble> {
        let request = all_request(From::End, 1, FilterOption::NoFilter(Empty {}));
        Ok(self.read(PATIENCE, request).await?.into_iter().next())
    }

    /// Appends once: an unknown outcome is the caller's to clear up.
    pub(super) async fn append_once(
        &self,
        deadline: Instant,
        name: &str,
        expected: Option<u64>,
        messages: &[Message],
    ) -> Result<Written, Trouble> {
        let left = deadline.saturating_duration_since(Instant::now());
        let options = batch_append_req::Options {
            stream_identifier: identifier(name),
            expected_stream_position: Some(match expected {
                Some(revision) => ExpectedStreamPosition::StreamPosition(revision),
                None => ExpectedStreamPosition::NoStream(Empty {}),
            }),
            // The server need not begin with what nobody waits for any more.
            deadline_option: Some(DeadlineOption::Deadline(batch_append_req::Duration {
                seconds: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                nanos: i32::try_from(left.subsec_nanos()).unwrap_or(0),
            })),
        };
        let messages = messages.to_vec();
        self.once(deadline, move |connected| {
            Box::pin(async move { connected.appends.append(options, messages).await })
        })
        .await
    }

    /// Deletes a stream of the store, so that it can be cleaned up.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Trouble> {
        let options = delete_req::Options {
            stream_identifier: identifier(name),
            expected_stream_revision: Some(delete_req::options::ExpectedStreamRevision::Any(Empty {})),
        };
        let request = DeleteReq { options: Some(options) };
        self.until_known(PATIENCE, move |mut connected| {
            let request = request.clone();
            Box::pin(async move {
                let answer = connected.streams.delete(request).await;
                answer.map(drop).map_err(|status| Trouble::of(&status))
            })
        })
        .await
    }

    async fn read(
        &self,
        patience: Duration,
        options: read_req::Options,
    ) -> Result<Vec<RecordedEvent>, Trouble> {
        self.until_known(patience, move |mut connected| {
            let request = ReadReq { options: Some(options.clone()) };
            Box::pin(async move {
                let answer = connected.streams.read(request).await.map_err(|status| Trouble::of(&status))?;
                let mut answer = answer.into_inner();
                let mut events = Vec::new();
                while let Some(part) = answer.message().await.map_err(|status| Trouble::of(&status))? {
                    match part.content {
                        Some(read_resp::Content::Event(event)) => events.extend(event.event),
                        Some(read_resp::Content::StreamNotFound(_)) => return Ok(Vec::new()),
                        // Such as where the stream ends, or how far a filter has looked: nothing to keep. What comes next
                        // is asked for from the last event on.
                        _ => {}
                    }
                }
                Ok(events)
            })
        })
        .await
    }

    /// Repeats a call that changes nothing when made twice until it has an answer, or the time is over.
    async fn until_known<T>(
        &self,
        patience: Duration,
        call: impl Fn(Connected) -> BoxFuture<'static, Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let deadline = Instant::now() + patience;
        let mut pauses = Pauses::until(deadline);
        loop {
            let trouble = match self.once(deadline, &call).await {
                Err(trouble @ (Trouble::Passing(_) | Trouble::Broken(_) | Trouble::NotLeader(_))) => trouble,
                outcome => return outcome,
            };
            if !pauses.pause().await {
                return Err(trouble);
            }
        }
    }

    /// Makes a call once, and throws the connection away if that is to blame for its failure.
    async fn once<T>(
        &self,
        deadline: Instant,
        call: impl FnOnce(Connected) -> BoxFuture<'static, Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let place = tokio::time::timeout(left(), self.places.acquire()).await;
        let Ok(Ok(_place)) = place else { return Err(Trouble::Passing("too much is under way".to_owned())) };
        let connected = tokio::time::timeout(left(), self.link.get()).await;
        let connected: Connected = match connected {
            Ok(Ok(connected)) => connected,
            Ok(Err(reason)) => return Err(Trouble::Passing(reason)),
            Err(_) => return Err(Trouble::Passing("no connection in time".to_owned())),
        };
        let answer = tokio::time::timeout(left(), call(connected.clone())).await;
        let answer = answer.unwrap_or_else(|_| Err(Trouble::Broken("no answer in time".to_owned())));
        match &answer {
            Err(Trouble::Broken(reason)) => {
                tracing::debug!(reason, "the connection to the event store is given up");
                self.link.replace(&connected, None).await;
            }
            Err(Trouble::NotLeader(leader)) => self.link.replace(&connected, leader.clone()).await,
            _ => {}
        }
        answer
    }
}

/// Growing pauses between repetitions.
pub(super) struct Pauses {
    next: Duration,
    deadline: Instant,
}

impl Pauses {
    /// Pauses that end at `deadline`.
    pub(super) fn until(deadline: Instant) -> Self {
        Self { next: FIRST_PAUSE, deadline }
    }

    /// Pauses, unless the time is over then: false.
    pub(super) async fn pause(&mut self) -> bool {
        if Instant::now() + self.next >= self.deadline {
            return false;
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        true
    }
}

/// An event with its id, type and JSON text.
pub(super) fn message(id: &str, kind: &str, body: &str) -> Message {
    let metadata = [("type", kind), ("content-type", "application/json")];
    Message {
        id: Some(Uuid { value: Some(uuid::Value::String(id.to_owned())) }),
        metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        custom_metadata: bytes::Bytes::new(),
        data: body.to_owned().into(),
    }
}

fn identifier(name: &str) -> Option<StreamIdentifier> {
    Some(StreamIdentifier { stream_name: name.to_owned().into() })
}

fn stream_request(
    name: &str,
    direction: ReadDirection,
    place: RevisionOption,
    count: usize,
) -> read_req::Options {
    let stream = StreamOptions { stream_identifier: identifier(name), revision_option: Some(place) };
    request(StreamOption::Stream(stream), direction, count, FilterOption::NoFilter(Empty {}))
}

fn all_request(from: From, count: usize, filter: FilterOption) -> read_req::Options {
    let at = |position| {
        let position = options::Position { commit_position: position, prepare_position: position };
        AllOption::Position(position)
    };
    let (place, direction) = match from {
        From::Position(0) => (AllOption::Start(Empty {}), ReadDirection::Forwards),
        From::Position(position) => (at(position), ReadDirection::Forwards),
        From::Before(position) => (at(position), ReadDirection::Backwards),
        From::End => (AllOption::End(Empty {}), ReadDirection::Backwards),
    };
    request(StreamOption::All(AllOptions { all_option: Some(place) }), direction, count, filter)
}

fn request(
    stream: StreamOption,
    direction: ReadDirection,
    count: usize,
    filter: FilterOption,
) -> read_req::Options {
    read_req::Options {
        stream_option: Some(stream),
        read_direction: direction.into(),
        resolve_links: false,
        count_option: Some(CountOption::Count(count as u64)),
        filter_option: Some(filter),
        uuid_option: Some(UuidOption { content: Some(uuid_option::Content::String(Empty {})) }),
    }
}
