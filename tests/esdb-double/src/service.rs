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
use super::protocol::streams::append_req::{self, options::ExpectedStreamRevision};
use super::protocol::streams::append_resp::{self, success, wrong_expected_version};
use super::protocol::streams::read_req::options::{
    CountOption, FilterOption, StreamOption, all_options::AllOption, filter_options::Filter,
    stream_options::RevisionOption,
};
use super::protocol::streams::read_req::{Options, options::ReadDirection};
use super::protocol::streams::read_resp::{self, ReadEvent, StreamNotFound, read_event::RecordedEvent};
use super::protocol::streams::{
    AppendReq, AppendResp, DeleteReq, DeleteResp, ReadReq, ReadResp, streams_server::Streams,
};
use super::protocol::{AllStreamPosition, Empty, StreamIdentifier, Uuid, uuid};

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

#[tonic::async_trait]
impl Streams for Service {
    type ReadStream = Pin<Box<dyn Stream<Item = Result<ReadResp, Status>> + Send>>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        self.admit(request.metadata()).await?;
        self.require_leader(request.metadata())?;
        let answer = self.answer(request.into_inner().options.unwrap())?;
        Ok(Response::new(Box::pin(stream::iter(answer).map(Ok))))
    }

    async fn append(&self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        self.admit(request.metadata()).await?;
        self.require_leader(request.metadata())?;
        let mut request = request.into_inner();
        let Some(append_req::Content::Options(options)) = request.message().await?.unwrap().content else {
            return Err(Status::invalid_argument("options come first"));
        };
        let (mut events, mut size) = (Vec::new(), 0);
        while let Some(part) = request.message().await? {
            let Some(append_req::Content::ProposedMessage(message)) = part.content else {
                return Err(Status::invalid_argument("options come once"));
            };
            size += message.data.len();
            if size > MAX_APPEND {
                let metadata = [("exception", "maximum-append-size-exceeded")];
                return Err(exception(Code::InvalidArgument, "Maximum Append Size Exceeded", &metadata));
            }
            assert_eq!(message.metadata["content-type"], "application/json");
            let uuid::Value::String(id) = message.id.unwrap().value.unwrap();
            let kind = message.metadata["type"].clone();
            events.push(New { id, kind, data: message.data });
        }
        let name = name_of(options.stream_identifier);
        let expected = match options.expected_stream_revision.unwrap() {
            ExpectedStreamRevision::Revision(revision) => Some(revision),
            ExpectedStreamRevision::NoStream(_) => None,
        };
        let fault = self.faults.next_append();
        if fault == Some(Fault::RequestLost) {
            return Err(Status::unavailable("Server Is Not Ready"));
        }
        let stored = self.log.append(&name, expected, events);
        match fault {
            Some(Fault::AnswerLost) => return Err(Status::unavailable("Server Is Not Ready")),
            Some(Fault::TimedOut) => return Err(Status::aborted("Operation timed out")),
            Some(Fault::AnswerKept) => std::future::pending().await,
            Some(Fault::AnswerEmpty) => return Ok(Response::new(AppendResp { result: None })),
            _ => {}
        }
        let result = match stored {
            Stored::Deleted => return Err(deleted(&name)),
            Stored::Wrong { current } => append_resp::Result::WrongExpectedVersion(wrong(current)),
            Stored::At { revision, position } => {
                let position = match fault {
                    Some(Fault::NoPosition) => success::PositionOption::NoPosition(Empty {}),
                    _ => success::PositionOption::Position(append_resp::Position {
                        commit_position: position,
                        prepare_position: position,
                    }),
                };
                append_resp::Result::Success(append_resp::Success {
                    current_revision_option: Some(success::CurrentRevisionOption::CurrentRevision(revision)),
                    position_option: Some(position),
                })
            }
        };
        Ok(Response::new(AppendResp { result: Some(result) }))
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

fn wrong(current: Option<u64>) -> append_resp::WrongExpectedVersion {
    use wrong_expected_version::CurrentRevisionOption::{CurrentNoStream, CurrentRevision};
    let current = current.map_or(CurrentNoStream(Empty {}), CurrentRevision);
    append_resp::WrongExpectedVersion { current_revision_option: Some(current) }
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
