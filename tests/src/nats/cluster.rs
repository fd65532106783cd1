//! Three private NATS servers that keep streams together.

use std::time::Duration;

use async_nats::jetstream::{self, stream};

use super::Nats;
use crate::tools::free_port;
use crate::wait::eventually;

/// How many servers; streams have a copy on each.
const NODES: usize = 3;
/// How long they may take to find each other and choose leaders: ten seconds on an idle machine.
const READY: Duration = Duration::from_secs(120);
/// How often a cluster whose ports were taken is tried anew.
const TRIES: usize = 5;

/// A cluster on loopback; each server has a directory of its own.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<Nats>,
}

impl NatsCluster {
    /// Starts three servers and waits until they keep a stream of three copies. Panics if they do not.
    pub async fn start() -> Self {
        for _ in 0..TRIES {
            if let Some(cluster) = Self::launched().await {
                cluster.ready().await;
                return cluster;
            }
        }
        panic!("no three ports are free for a NATS cluster");
    }

    /// `None` if a port was taken.
    async fn launched() -> Option<Self> {
        let ports: Vec<u16> = (0..NODES).map(|_| free_port()).collect();
        let url = |port: &u16| format!("nats://127.0.0.1:{port}");
        let routes = ports.iter().map(url).collect::<Vec<_>>().join(",");
        let mut nodes = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let pairs = [
                ("--server_name", name(number)),
                ("--cluster_name", "dcm-test".to_owned()),
                ("--cluster", url(port)),
                ("--routes", routes.clone()),
            ];
            let arguments = pairs.into_iter().flat_map(|(flag, value)| [flag.into(), value.into()]);
            let mut node = Nats::prepared(arguments.collect());
            if !node.launch().await {
                return None;
            }
            nodes.push(node);
        }
        Some(Self { nodes })
    }

    /// `nats://127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("nats://{}", hosts.join(","))
    }

    /// The same one by one, as the client library wants them.
    pub fn servers(&self) -> Vec<String> {
        self.nodes.iter().map(Nats::url).collect()
    }

    /// One of the servers.
    pub fn node(&mut self, number: usize) -> &mut Nats {
        &mut self.nodes[number]
    }

    /// Which server leads `stream`, waiting until one does.
    pub async fn leader(&self, stream: &str) -> usize {
        let leader = eventually(format!("{stream} has a leader"), READY, async || {
            let context = self.context().await?;
            let found = context.get_stream(stream).await.map_err(|error| error.to_string())?;
            let cluster = found.cached_info().cluster.clone();
            cluster.and_then(|cluster| cluster.leader).ok_or_else(|| "no leader".to_owned())
        })
        .await;
        (0..NODES).find(|number| name(*number) == leader).expect("a server of the cluster leads")
    }

    /// SIGKILL to the leader of `stream`; gives which it was.
    pub async fn kill_leader(&mut self, stream: &str) -> usize {
        let leader = self.leader(stream).await;
        self.node(leader).kill();
        leader
    }

    /// Lets another server lead `stream`, and waits until one does.
    pub async fn move_leader(&self, stream: &str) {
        let before = self.leader(stream).await;
        eventually(format!("{stream} moves"), READY, async || {
            let client = async_nats::connect(self.servers()).await.map_err(|error| error.to_string())?;
            let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{stream}");
            client.request(subject, "".into()).await.map_err(|error| error.to_string())?;
            if self.leader(stream).await == before { Err("the same one leads".to_owned()) } else { Ok(()) }
        })
        .await;
    }

    /// Deletes every stream.
    pub async fn wipe(&self) {
        use futures::TryStreamExt;
        eventually("the cluster is empty", READY, async || {
            let context = self.context().await?;
            let names: Vec<String> =
                context.stream_names().try_collect().await.map_err(|error| error.to_string())?;
            for name in &names {
                context.delete_stream(name).await.map_err(|error| error.to_string())?;
            }
            if names.is_empty() { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await;
    }

    /// JetStream, over whichever server answers.
    pub async fn context(&self) -> Result<jetstream::Context, String> {
        Ok(jetstream::new(self.client().await?))
    }

    async fn client(&self) -> Result<async_nats::Client, String> {
        let servers: Vec<String> = self.nodes.iter().map(Nats::url).collect();
        async_nats::connect(servers).await.map_err(|error| error.to_string())
    }

    /// Waits until a stream of three copies can be made.
    async fn ready(&self) {
        let probe = stream::Config {
            name: "PROBE".to_owned(),
            subjects: vec!["probe".to_owned()],
            num_replicas: NODES,
            ..stream::Config::default()
        };
        eventually("the cluster keeps streams", READY, async || {
            let context = self.context().await?;
            context.get_or_create_stream(probe.clone()).await.map_err(|error| error.to_string())
        })
        .await;
        self.wipe().await;
    }
}

fn name(number: usize) -> String {
    format!("n{number}")
}
