//! The connection to the node that leads: made when it is needed, thrown away when it fails, made anew by the next call.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::net::lookup_host;
use tokio::sync::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::{Interceptor, interceptor::InterceptedService};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use zeroize::Zeroizing;

use super::appends::Appends;
use super::protocol::gossip::gossip_client::GossipClient;
use super::protocol::gossip::member_info::VNodeState;
use super::protocol::streams::streams_client::StreamsClient;
use super::protocol::{Empty, gossip::ClusterInfo};
use super::url::{Node, Url};

/// How long a node may take to let us in, or to say who leads.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a node is asked for a sign of life, and how long it may take to give it: a connection that nobody answers is
/// given up before its callers are.
const PING: Duration = Duration::from_secs(1);
const PONG: Duration = Duration::from_secs(2);
/// What may be on its way to us on one stream, and on the whole connection.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Largest message taken: the store refuses larger events than this itself.
const MESSAGE: usize = 32 << 20;

/// Calls on streams, with what every call carries.
pub(super) type Streams = StreamsClient<InterceptedService<Channel, Carried>>;

/// A connection that worked when it was handed out.
#[derive(Clone)]
pub(super) struct Connected {
    /// Which connection of the link it is.
    number: u64,
    pub streams: Streams,
    pub appends: Appends,
}

/// What every call carries: who we are, and that only the leader may answer.
#[derive(Clone)]
pub(super) struct Carried {
    authorization: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Carried {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("requires-leader", MetadataValue::from_static("true"));
        if let Some(authorization) = &self.authorization {
            metadata.insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

/// The way to a store.
pub(super) struct Link {
    nodes: Vec<Node>,
    discover: bool,
    tls: Option<ClientTlsConfig>,
    carried: Carried,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connected: Option<Connected>,
    /// Connections made so far.
    made: u64,
    /// The node that was said to lead.
    leader: Option<Node>,
}

impl Link {
    /// A way to the nodes of `url`; nothing is connected yet. `Err` says what is wrong with its certificates or user.
    pub(super) fn new(url: &Url) -> Result<Self, String> {
        let tls = if url.tls { Some(trust(url)?) } else { None };
        let authorization = match &url.user {
            Some((name, password)) => {
                let pair = Zeroizing::new(format!("{name}:{}", password.expose()));
                let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
                let mut value: MetadataValue<Ascii> =
                    text.parse().map_err(|_| "user and password cannot be sent".to_owned())?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let (nodes, discover) = (url.nodes.clone(), url.discover);
        Ok(Self { nodes, discover, tls, carried: Carried { authorization }, state: Mutex::default() })
    }

    /// The connection, or a new one. `Err` says why there is none.
    pub(super) async fn get(&self) -> Result<Connected, String> {
        let mut state = self.state.lock().await;
        if let Some(connected) = &state.connected {
            return Ok(connected.clone());
        }
        let channel = match state.leader.take() {
            Some(leader) => match self.connect(&leader).await {
                Ok(channel) => channel,
                // What was said may be outdated.
                Err(_) => self.find().await?,
            },
            None => self.find().await?,
        };
        let streams = StreamsClient::with_interceptor(channel, self.carried.clone())
            .max_decoding_message_size(MESSAGE)
            .max_encoding_message_size(MESSAGE);
        state.made += 1;
        if state.made > 1 {
            tracing::info!(connection = state.made, "connected to the event store again");
        }
        let appends = Appends::over(streams.clone());
        let connected = Connected { number: state.made, streams, appends };
        state.connected = Some(connected.clone());
        Ok(connected)
    }

    /// Throws `failed` away, unless that was done; the next call tries `leader` first, if one is known.
    pub(super) async fn replace(&self, failed: &Connected, leader: Option<Node>) {
        let mut state = self.state.lock().await;
        if state.connected.as_ref().is_some_and(|connected| connected.number == failed.number) {
            state.connected = None;
            state.leader = leader;
        }
    }

    /// Connects to the only node, or to the one that the nodes say leads.
    async fn find(&self) -> Result<Channel, String> {
        if let ([node], false) = (self.nodes.as_slice(), self.discover) {
            return self.connect(node).await;
        }
        let mut reasons = Vec::new();
        for seed in &self.nodes {
            match self.ask(seed).await {
                Ok(leader) => return self.connect(&leader).await,
                Err(reason) => reasons.push(format!("{}: {reason}", seed.authority())),
            }
        }
        Err(reasons.join("; "))
    }

    /// Who leads, according to one of the nodes behind `seed`.
    async fn ask(&self, seed: &Node) -> Result<Node, String> {
        let addresses = tokio::time::timeout(CONNECT, lookup_host((seed.host.as_str(), seed.port))).await;
        let addresses = addresses.map_err(|_| "its name is not found in time".to_owned())?;
        let mut reason = "its name stands for no address".to_owned();
        for address in addresses.map_err(|error| error.to_string())? {
            let node = Node { host: address.ip().to_string(), port: address.port() };
            // The name is what a certificate is for.
            let asked = async {
                let channel = self.connect_as(&node, &seed.host).await?;
                let mut gossip = GossipClient::with_interceptor(channel, self.carried.clone());
                let told = tokio::time::timeout(CONNECT, gossip.read(Empty {})).await;
                let told = told.map_err(|_| "it does not say who leads in time".to_owned())?;
                let told =
                    told.map_err(|status| format!("it does not say who leads: {}", status.message()))?;
                leader(told.into_inner()).ok_or_else(|| "it knows of no leader".to_owned())
            };
            match asked.await {
                Ok(leader) => return Ok(leader),
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    async fn connect(&self, node: &Node) -> Result<Channel, String> {
        self.connect_as(node, &node.host).await
    }

    async fn connect_as(&self, node: &Node, name: &str) -> Result<Channel, String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", node.authority()));
        let mut endpoint = endpoint
            .map_err(|error| error.to_string())?
            // Without this a small write waits for the acknowledgement of the one before, which the other side delays.
            .tcp_nodelay(true)
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        if let Some(tls) = &self.tls {
            let tls = tls.clone().domain_name(name);
            endpoint = endpoint.tls_config(tls).map_err(|error| in_full(&error))?;
        }
        let connected = tokio::time::timeout(CONNECT, endpoint.connect()).await;
        connected.map_err(|_| "no connection in time".to_owned())?.map_err(|error| in_full(&error))
    }
}

fn trust(url: &Url) -> Result<ClientTlsConfig, String> {
    let Some(file) = &url.ca_file else { return Ok(ClientTlsConfig::new().with_native_roots()) };
    let pem = std::fs::read(file).map_err(|error| format!("tlsCaFile {}: {error}", file.display()))?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

fn leader(cluster: ClusterInfo) -> Option<Node> {
    let leads = |state: i32| VNodeState::try_from(state) == Ok(VNodeState::Leader);
    let mut members = cluster.members.into_iter();
    let leader = members.find(|member| member.is_alive && leads(member.state))?.http_end_point?;
    Some(Node { host: leader.address, port: u16::try_from(leader.port).ok()? })
}

/// An error with what led to it: the outermost says only that it failed.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
