//! An EventStoreDB in this process: the public protocol over memory, with the real one's rules and with failures on demand.
//!
//! It keeps what the journal's adapter relies on: expected revisions, repetitions of an append, which are known at the
//! revision they were made for alone, streams deleted for a while or for ever, `$maxCount`, scavenging, redirects to the
//! leader, gossip, credentials, TLS. A request that a real server would not take ends in a panic: it is a defect of the test's
//! subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what tests alone use fails by panicking"
)]

mod faults;
mod log;
mod service;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::runtime::Runtime;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};

pub use faults::{Fault, Faults};
pub use log::{Entry, Log};
use protocol::gossip::gossip_server::GossipServer;
use protocol::streams::streams_server::StreamsServer;
use service::{Cluster, Service};

/// The protocol, as a server sees it. The nesting follows the packages: generated code climbs with `super::`.
mod protocol {
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]

    tonic::include_proto!("event_store.client");
    pub mod streams {
        tonic::include_proto!("event_store.client.streams");
    }
    pub mod gossip {
        tonic::include_proto!("event_store.client.gossip");
    }
}

/// One node. It listens until it is stopped or dropped; what it stores lives in the log, which nodes can share.
pub struct Node {
    /// What it stores.
    pub store: Arc<Log>,
    /// What goes wrong with it.
    pub faults: Arc<Faults>,
    /// Where it listens.
    pub address: SocketAddr,
    cluster: Arc<Cluster>,
    identity: Option<Identity>,
    /// Gone while the node is stopped. Its end cuts every connection.
    runtime: Option<Runtime>,
}

impl Node {
    /// A node of its own.
    pub fn start() -> Self {
        Self::start_in(Arc::default(), Arc::default(), None)
    }

    /// A node of its own at `address`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn start_at(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self::listen(TcpListener::bind(address)?, Arc::default(), Arc::default(), None))
    }

    /// A node that asks for TLS.
    pub fn start_tls(identity: Identity) -> Self {
        Self::start_in(Arc::default(), Arc::default(), Some(identity))
    }

    /// Three nodes that share a log; the first leads.
    pub fn start_three() -> [Self; 3] {
        let (store, cluster) = (Arc::<Log>::default(), Arc::<Cluster>::default());
        let nodes = [(); 3].map(|()| Self::start_in(Arc::clone(&store), Arc::clone(&cluster), None));
        cluster.elect(nodes[0].address);
        nodes
    }

    fn start_in(store: Arc<Log>, cluster: Arc<Cluster>, identity: Option<Identity>) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), store, cluster, identity)
    }

    fn listen(
        listener: TcpListener,
        store: Arc<Log>,
        cluster: Arc<Cluster>,
        identity: Option<Identity>,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        cluster.join(address);
        let faults = Arc::default();
        let mut node = Self { store, faults, address, cluster, identity, runtime: None };
        node.serve(listener);
        node
    }

    fn serve(&mut self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let service = Service {
            log: Arc::clone(&self.store),
            faults: Arc::clone(&self.faults),
            cluster: Arc::clone(&self.cluster),
            address: self.address,
        };
        let identity = self.identity.clone();
        runtime.spawn(async move {
            let mut server = Server::builder();
            if let Some(identity) = identity {
                server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
            }
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
            let streams = StreamsServer::new(service.clone()).max_decoding_message_size(64 << 20);
            let router = server.add_service(streams).add_service(GossipServer::new(service));
            router.serve_with_incoming(connections).await.unwrap();
        });
        self.runtime = Some(runtime);
    }

    /// Where it is, without TLS.
    pub fn url(&self) -> String {
        format!("esdb://{}?tls=false", self.address)
    }

    /// Ends it at once, with every connection. What it stored stays.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Starts it again where it was.
    pub fn restart(&mut self) {
        self.stop();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let listener = loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => break listener,
                Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
            }
            std::thread::yield_now();
        };
        self.serve(listener);
    }

    /// Makes it the one that leads.
    pub fn lead(&self) {
        self.cluster.elect(self.address);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}
