//! The protocol's calls.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{Stream, StreamExt, stream};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use super::faults::{Fault, Faults};
use super::log::{Entry, Log, New, Part, Stored, Way};
use super::protocol::gossip::{
    ClusterInfo, EndPoint, MemberInfo, gossip_server::Gossip, member_info::VNodeState,
};
use super::protocol::streams::batch_append_req::options::ExpectedStreamPosition;
use super::protocol::streams::batch_append_resp::{self, success};
use super::protocol::streams::read_req::options::{
    CountOption, FilterOption, StreamOption, all_options::AllOption, filter_options::Filter,
    stream_options::RevisionOption,
};
use super::protocol::streams::read_req::{Options, options::ReadDirection};
use super::protocol::streams::read_resp::{self, ReadEvent, StreamNotFound, read_event::RecordedEvent};
use super::protocol::streams::{
    BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq, ReadResp, streams_server::Streams,
};
use super::protocol::{self, AllStreamPosition, Any, Empty, StreamIdentifier, Uuid, uuid};

/// The default of `MaxAppendSize`.
const MAX_APPEND: usize = 1 << 20;

/// The nodes that know of each other.
#[derive(Debug, Default)]
pub struct Cluster {
    members: Mutex<BTreeSet<SocketAddr>>,
    /// Every node leads itself while nobody was elected.
    leader: Mutex<Option<SocketAddr>>,
}

impl Cluster {
    pub fn join(&self, address: SocketAddr) {
        self.members.lock().unwrap().insert(address);
    }

    pub fn elect(&self, address: SocketAddr) {
        *self.leader.lock().unwrap() = Some(address);
    }

    fn leader(&self) -> Option<SocketAddr> {
        *self.leader.lock().unwrap()
    }
}

/// One node's calls.
#[derive(Clone)]
pub struct Service {
    pub log: Arc<Log>,
    pub faults: Arc<Faults>,
    pub cluster: Arc<Cluster>,
    pub address: SocketAddr,
}

impl Service {
    /// What every call goes through.
    async fn admit(&self, metadata: &MetadataMap) -> Result<(), Status> {
        self.faults.count();
        if self.faults.is_stalled() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(self.faults.slowness()).await;
        if let Some(wanted) = self.faults.wanted() {
            let wanted = format!("Basic {}", STANDARD.encode(wanted));
            if metadata.get("authorization").is_none_or(|given| given.as_bytes() != wanted.as_bytes()) {
                return Err(Status::unauthenticated("Not Authenticated"));
            }
        }
        Ok(())
    }

    fn require_leader(&self, metadata: &MetadataMap) -> Result<(), Status> {
        assert_eq!(metadata.get("requires-leader").unwrap(), "true", "only the leader may be asked");
        match self.cluster.leader() {
            Some(leader) if leader != self.address => {
                let (host, port) = (leader.ip().to_string(), leader.port().to_string());
                Err(exception(
                    Code::NotFound,
                    "Leader info available",
                    &[
                        ("exception", "not-leader"),
                        ("leader-endpoint-host", &host),
                        ("leader-endpoint-port", &port),
                    ],
                ))
            }
            _ => Ok(()),
        }
    }

    fn answer(&self, options: Options) -> Result<Vec<ReadResp>, Status> {
        let CountOption::Count(count) = options.count_option.unwrap();
        assert!(options.uuid_option.is_some() && count > 0, "the server refuses this");
        let cut = self.faults.next_cut().unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap().min(cut);
        let backwards = options.read_direction == i32::from(ReadDirection::Backwards);
        let nothing = || Status::invalid_argument("nothing is read from there");
        match options.stream_option.unwrap() {
            StreamOption::Stream(stream) => {
                let way = match (stream.revision_option.unwrap(), backwards) {
                    (RevisionOption::Revision(from), false) => Way::On(from),
                    (RevisionOption::Revision(from), true) => Way::Back(Some(from)),
                    (RevisionOption::Start(_), false) => Way::On(0),
                    (RevisionOption::End(_), true) => Way::Back(None),
                    _ => return Err(nothing()),
                };
                self.part_of(&name_of(stream.stream_identifier), way, count)
            }
            StreamOption::All(all) => {
                let way = match (all.all_option.unwrap(), backwards) {
                    (AllOption::Position(from), false) => Way::On(from.commit_position),
                    (AllOption::Position(from), true) => Way::Back(Some(from.commit_position)),
                    (AllOption::Start(_), false) => Way::On(0),
                    (AllOption::End(_), true) => Way::Back(None),
                    _ => return Err(nothing()),
                };
                let prefixes = match options.filter_option.unwrap() {
                    FilterOption::NoFilter(_) => vec![String::new()],
                    FilterOption::Filter(filter) => {
                        assert!(filter.window.is_some(), "the server refuses a filter without a window");
                        let Some(Filter::StreamIdentifier(expression)) = filter.filter else {
                            panic!("no filter")
                        };
                        expression.prefix
                    }
                };
                let found = self.log.read_all(way, &prefixes, count);
                let found = found.ok_or_else(|| Status::unknown("Unexpected ReadAllResult: Error"))?;
                let mut parts: Vec<_> = found.into_iter().map(|entry| event(entry, false)).collect();
                // What servers say besides; the first as if the filter had passed over much.
                let place = AllStreamPosition { commit_position: 1, prepare_position: 1 };
                let checkpoint = read_resp::Checkpoint { commit_position: 1, prepare_position: 1 };
                parts.insert(0, part(read_resp::Content::Checkpoint(checkpoint)));
                parts.push(part(read_resp::Content::FellBehind(read_resp::FellBehind {})));
                parts.push(part(read_resp::Content::LastAllStreamPosition(place)));
                parts.push(part(read_resp::Content::CaughtUp(read_resp::CaughtUp {})));
                Ok(parts)
            }
        }
    }

    fn part_of(&self, name: &str, way: Way, count: usize) -> Result<Vec<ReadResp>, Status> {
        match self.log.read(name, way, count) {
            Part::Events(found) => {
                let hidden = self.faults.hides_stream_positions();
                let last = found.last().map(|entry| entry.revision);
                let mut parts: Vec<_> = found.into_iter().map(|entry| event(entry, hidden)).collect();
                parts.extend(last.map(|last| part(read_resp::Content::LastStreamPosition(last))));
                Ok(parts)
            }
            Part::Missing => {
                let missing = StreamNotFound { stream_identifier: identifier(name) };
                Ok(vec![part(read_resp::Content::StreamNotFound(missing))])
            }
            Part::Deleted => Err(deleted(name)),
        }
    }
}

/// What follows one append on the stream of answers.
enum Next {
    Answer(BatchAppendResp),
    Nothing,
    /// The stream ends as if all were said.
    End,
    Fail(Status),
}

impl Service {
    async fn append(&self, request: BatchAppendReq) -> Next {
        self.faults.count();
        if self.faults.is_stalled() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(self.faults.slowness()).await;
        assert!(request.is_final, "an append in parts");
        let correlation = correlation(request.correlation_id);
        let answer = |result| Next::Answer(BatchAppendResp { correlation_id: correlation.clone(), result });
        let refused = |code, message: &str, kind| answer(Some(error(code, message, kind)));
        if self.cluster.leader().is_some_and(|leader| leader != self.address) {
            return refused(Code::NotFound, "Leader info available", None);
        }
        let size: usize = request.proposed_messages.iter().map(|message| message.data.len()).sum();
        if size > MAX_APPEND {
            let kind = Some("MaximumAppendSizeExceeded");
            return refused(Code::InvalidArgument, "Maximum Append Size Exceeded", kind);
        }
        let events = request.proposed_messages.into_iter().map(|message| {
            assert_eq!(message.metadata["content-type"], "application/json");
            let kind = message.metadata["type"].clone();
            New { id: text_of(message.id), kind, data: message.data }
        });
        let options = request.options.unwrap();
        assert!(options.deadline_option.is_some(), "an append without a deadline");
        let expected = match options.expected_stream_position.unwrap() {
            ExpectedStreamPosition::StreamPosition(revision) => Some(revision),
            ExpectedStreamPosition::NoStream(_) => None,
        };
        let fault = self.faults.next_append();
        let unavailable = || Next::Fail(Status::unavailable("Server Is Not Ready"));
        if fault == Some(Fault::RequestLost) {
            return unavailable();
        }
        let name = name_of(options.stream_identifier);
        let stored = self.log.append(&name, expected, events.collect());
        match fault {
            Some(Fault::AnswerLost) => return unavailable(),
            Some(Fault::TimedOut) => return refused(Code::Aborted, "Operation timed out", Some("Timeout")),
            Some(Fault::AnswerKept) => return Next::Nothing,
            Some(Fault::AnswerEmpty) => return answer(None),
            Some(Fault::StreamEnded) => return Next::End,
            _ => {}
        }
        match stored {
            Stored::Deleted => refused(Code::FailedPrecondition, "Stream is deleted.", Some("StreamDeleted")),
            Stored::Wrong => {
                refused(Code::FailedPrecondition, "Wrong expected version.", Some("WrongExpectedVersion"))
            }
            Stored::At { revision, position } => {
                let place = AllStreamPosition { commit_position: position, prepare_position: position };
                let position = match fault {
                    Some(Fault::NoPosition) => success::PositionOption::NoPosition(Empty {}),
                    _ => success::PositionOption::Position(place),
                };
                answer(Some(batch_append_resp::Result::Success(batch_append_resp::Success {
                    current_revision_option: Some(success::CurrentRevisionOption::CurrentRevision(revision)),
                    position_option: Some(position),
                })))
            }
        }
    }
}

#[tonic::async_trait]
impl Streams for Service {
    type ReadStream = Pin<Box<dyn Stream<Item = Result<ReadResp, Status>> + Send>>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        self.admit(request.metadata()).await?;
        self.require_leader(request.metadata())?;
        let answer = self.answer(request.into_inner().options.unwrap())?;
        Ok(Response::new(Box::pin(stream::iter(answer).map(Ok))))
    }

    type BatchAppendStream = Pin<Box<dyn Stream<Item = Result<BatchAppendResp, Status>> + Send>>;

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        self.admit(request.metadata()).await?;
        assert_eq!(
            request.metadata().get("requires-leader").unwrap(),
            "true",
            "only the leader may be asked"
        );
        let mut requests = request.into_inner();
        // The real one's answer begins with the first answer to an append.
        let first = requests.message().await?;
        let requests = stream::iter(first.map(Ok)).chain(requests);
        let answers = stream::try_unfold((self.clone(), requests), |(service, mut requests)| async move {
            while let Some(request) = requests.next().await {
                match service.append(request?).await {
                    Next::Answer(answer) => return Ok(Some((answer, (service, requests)))),
                    Next::Nothing => {}
                    Next::End => return Ok(None),
                    Next::Fail(status) => return Err(status),
                }
            }
            Ok(None)
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        self.admit(request.metadata()).await?;
        self.require_leader(request.metadata())?;
        let name = name_of(request.into_inner().options.unwrap().stream_identifier);
        self.log.delete(&name);
        Ok(Response::new(DeleteResp {}))
    }
}

#[tonic::async_trait]
impl Gossip for Service {
    async fn read(&self, request: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        self.admit(request.metadata()).await?;
        let leader = self.cluster.leader().unwrap_or(self.address);
        let members = self.cluster.members.lock().unwrap().clone();
        let members = members.into_iter().map(|address| MemberInfo {
            state: match leader == address {
                true => VNodeState::Leader.into(),
                false => VNodeState::Follower.into(),
            },
            is_alive: true,
            http_end_point: Some(EndPoint {
                address: address.ip().to_string(),
                port: u32::from(address.port()),
            }),
        });
        Ok(Response::new(ClusterInfo { members: members.collect() }))
    }
}

fn event(entry: Entry, hidden: bool) -> ReadResp {
    let position = if hidden { u64::MAX } else { entry.position };
    let recorded = RecordedEvent {
        id: Some(Uuid { value: Some(uuid::Value::String(entry.id)) }),
        stream_identifier: identifier(&entry.stream),
        stream_revision: entry.revision,
        prepare_position: position,
        commit_position: position,
        metadata: [("type".to_owned(), entry.kind)].into(),
        custom_metadata: bytes::Bytes::new(),
        data: entry.data,
    };
    part(read_resp::Content::Event(ReadEvent { event: Some(recorded) }))
}

fn part(content: read_resp::Content) -> ReadResp {
    ReadResp { content: Some(content) }
}

/// The same id in its other form, as the real server gives it back.
fn correlation(id: Option<Uuid>) -> Option<Uuid> {
    let digits = text_of(id).replace('-', "");
    let half = |digits: &str| u64::from_str_radix(digits, 16).unwrap().cast_signed();
    let (most, least) = digits.split_at(16);
    let structured =
        uuid::Structured { most_significant_bits: half(most), least_significant_bits: half(least) };
    Some(Uuid { value: Some(uuid::Value::Structured(structured)) })
}

fn text_of(id: Option<Uuid>) -> String {
    match id.unwrap().value.unwrap() {
        uuid::Value::String(id) => id,
        uuid::Value::Structured(_) => panic!("an id is sent as a text"),
    }
}

fn error(code: Code, message: &str, kind: Option<&str>) -> batch_append_resp::Result {
    let url = kind.map(|kind| format!("type.googleapis.com/event_store.client.{kind}"));
    let details = url.map(|type_url| Any { type_url, value: bytes::Bytes::new() });
    let (code, message) = (i32::from(code), message.to_owned());
    batch_append_resp::Result::Error(protocol::Status { code, message, details })
}

fn deleted(name: &str) -> Status {
    let message = format!("Event stream '{name}' is deleted.");
    exception(Code::FailedPrecondition, &message, &[("exception", "stream-deleted"), ("stream-name", name)])
}

fn exception(code: Code, message: &str, pairs: &[(&'static str, &str)]) -> Status {
    let mut metadata = MetadataMap::new();
    for (key, value) in pairs {
        metadata.insert(*key, value.parse().unwrap());
    }
    Status::with_metadata(code, message, metadata)
}

fn identifier(name: &str) -> Option<StreamIdentifier> {
    Some(StreamIdentifier { stream_name: name.to_owned().into() })
}

fn name_of(identifier: Option<StreamIdentifier>) -> String {
    String::from_utf8(identifier.unwrap().stream_name.to_vec()).unwrap()
}
