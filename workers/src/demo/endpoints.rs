//! The demo's endpoint: one loopback listener that stands for every subcloud. It tells them apart by the name asked
//! for in the handshake, which cert-mon makes the region.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::authority::Authority;

/// Certificates kept for the next handshake. A larger fleet than this is served too, signing again now and then.
const KEPT_CERTIFICATES: usize = 4_096;
const MOST_CONNECTIONS: usize = 256;
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
const LONGEST_REQUEST_HEAD: usize = 8 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Why the endpoint did not start.
#[derive(Debug, thiserror::Error)]
pub enum EndpointsError {
    /// No port could be had on the loopback address.
    #[error("demo endpoint: {0}")]
    Listen(#[from] io::Error),
    /// The shared key could not be made.
    #[error("demo endpoint: {0}")]
    Key(#[from] rcgen::Error),
    /// TLS could not be set up.
    #[error("demo endpoint: {0}")]
    Tls(#[from] rustls::Error),
}

/// A running endpoint. It ends when the token given at its start is cancelled.
#[derive(Debug)]
pub struct Endpoints {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Endpoints {
    /// Listens on a free loopback port and serves a certificate of `authority` for each of `regions`. Other names,
    /// and handshakes that ask for none, are refused. Certificates are signed when first asked for.
    pub async fn start(
        authority: Authority,
        regions: impl IntoIterator<Item = String>,
        stop: CancellationToken,
    ) -> Result<Self, EndpointsError> {
        let certificates = Certificates::new(authority, regions)?;
        Self::serve(server_config(Arc::new(certificates))?, stop).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address template under which cert-mon finds every region here.
    pub fn template(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Waits until it has stopped accepting and its connections are closed.
    pub async fn stopped(self) {
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "demo endpoint ended badly");
        }
    }

    /// Serves whatever `config` says on a free loopback port.
    pub(crate) async fn serve(config: ServerConfig, stop: CancellationToken) -> Result<Self, EndpointsError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = tokio::spawn(async move {
            // Dropped when the token is cancelled, and with it every connection.
            let mut connections = JoinSet::new();
            tokio::select! {
                () = accept(&listener, &acceptor, &mut connections) => {}
                () = stop.cancelled() => {}
            }
            drop(listener);
            connections.shutdown().await;
        });
        Ok(Self { address, accepting })
    }
}

async fn accept(listener: &TcpListener, acceptor: &TlsAcceptor, connections: &mut JoinSet<()>) {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // The semaphore is never closed, so the loop runs until it is dropped.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((tcp, _)) => {
                connections.spawn(serve_within_limit(acceptor.clone(), tcp, slot));
            }
            Err(error) => {
                // Out of descriptors, most likely: trying again at once would only burn time.
                tracing::warn!(%error, "demo endpoint cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_within_limit(acceptor: TlsAcceptor, tcp: TcpStream, _slot: OwnedSemaphorePermit) {
    match timeout(CONNECTION_LIMIT, answer(acceptor, tcp)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "demo endpoint: connection failed"),
        Err(_) => tracing::debug!("demo endpoint: connection took too long"),
    }
}

/// Answers one request of any kind; a client that only wanted the handshake gets nothing.
async fn answer(acceptor: TlsAcceptor, tcp: TcpStream) -> io::Result<()> {
    let mut tls = acceptor.accept(tcp).await?;
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while head.len() < LONGEST_REQUEST_HEAD && !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        match tls.read(&mut chunk).await? {
            0 => return tls.shutdown().await,
            count => head.extend_from_slice(&chunk[..count]),
        }
    }
    tls.write_all(ANSWER).await?;
    tls.shutdown().await
}

/// TLS with the ring provider and a full handshake every time: a resumed one would show no certificate.
fn server_config(certificates: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Signs a certificate for a region when it is first asked for, and keeps the latest ones. All share one key, made
/// at the start: a fleet of a thousand would otherwise need a thousand.
struct Certificates {
    authority: Authority,
    regions: HashSet<String>,
    key: KeyPair,
    signer: Arc<dyn SigningKey>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_region: HashMap<String, Arc<CertifiedKey>>,
    by_age: VecDeque<String>,
}

impl Certificates {
    fn new(authority: Authority, regions: impl IntoIterator<Item = String>) -> Result<Self, EndpointsError> {
        let key = KeyPair::generate()?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Self {
            authority,
            // A name asked for in a handshake has no case.
            regions: regions.into_iter().map(|region| region.to_ascii_lowercase()).collect(),
            signer: any_supported_type(&private)?,
            key,
            kept: Mutex::default(),
        })
    }

    fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let region = name.to_ascii_lowercase();
        if !self.regions.contains(&region) {
            return None;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = kept.by_region.get(&region) {
            return Some(Arc::clone(there));
        }
        match self.authority.issue(&region, &self.key) {
            Ok(leaf) => {
                let made = Arc::new(CertifiedKey::new(vec![leaf], Arc::clone(&self.signer)));
                kept.insert(region, Arc::clone(&made));
                Some(made)
            }
            Err(error) => {
                tracing::error!(region, %error, "demo endpoint cannot sign");
                None
            }
        }
    }
}

impl Kept {
    fn insert(&mut self, region: String, certificate: Arc<CertifiedKey>) {
        if self.by_age.len() >= KEPT_CERTIFICATES
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.by_region.remove(&oldest);
        }
        self.by_age.push_back(region.clone());
        self.by_region.insert(region, certificate);
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certificate(client_hello.server_name()?)
    }
}

/// Says how many, never the key.
impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("regions", &self.regions.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "endpoints_tests.rs"]
mod tests;
