//! What `dcm doctor` advises about the NATS servers.

use dcm_journal::bus::Server;

use crate::config::JetStream;

/// What an operator should know of the bus as it is configured; `None` if there is nothing to say.
pub fn advice(server: &Server, streams: &JetStream) -> Option<String> {
    let Server::Nats { version, cluster, .. } = server else { return None };
    if streams.replicas > 1 {
        return None;
    }
    let otherwise = match cluster {
        Some(cluster) => format!("jetstream.replicas = 3 keeps copies on the cluster {cluster}"),
        None => "three servers in a cluster and jetstream.replicas = 3 do without".to_owned(),
    };
    Some(format!(
        "NATS {version} keeps one copy of each stream, and acknowledges before it is on disk: after a power failure the \
         last messages are published again from the journal, but what consumers had acknowledged may come again. \
         `sync_interval: always` in the server's jetstream section writes first, at about a tenth of the rate; {otherwise}"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn nats(cluster: Option<&str>) -> Server {
        Server::Nats {
            version: "2.15.1".to_owned(),
            cluster: cluster.map(str::to_owned),
            max_payload: 1 << 20,
        }
    }

    #[test]
    fn one_copy_is_told_what_it_risks() {
        let one = JetStream::default();
        let alone = advice(&nats(None), &one).unwrap();
        assert!(alone.contains("sync_interval: always") && alone.contains("three servers"), "{alone}");
        assert!(advice(&nats(Some("blue")), &one).unwrap().contains("cluster blue"));
        assert_eq!(advice(&nats(Some("blue")), &JetStream { replicas: 3, ..one.clone() }), None);
        assert_eq!(advice(&Server::Process, &one), None);
    }
}
