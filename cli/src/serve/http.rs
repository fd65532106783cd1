//! Serving HTTP/1.1 on a listener, with or without TLS, within bounds on what a connection may hold.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use dcm_api::transport::Encrypted;
use dcm_journal::outage::Outage;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::commands::Failure;
use crate::config::{Http, Tls};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Most bytes of a request's head that are read; the transport's own limits are below it.
const HEAD_BYTES: usize = 128 * 1024;
/// Pause after a connection could not be accepted, which is when there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(200);
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;
/// How long a connection that was just made may take to its first request when the server ends.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Listens at `address`, beside others that do if `reuse_port`.
///
/// # Errors
/// Those of the operating system.
pub fn listen(address: SocketAddr, reuse_port: bool) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// How a server is told to end: first `draining`, from when on every answer is the last on its connection, then `stop`, from
/// when on nobody is let in.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Clients are to turn to others.
    pub draining: CancellationToken,
    /// Nobody else is answered.
    pub stop: CancellationToken,
}

/// Serves one router.
pub struct Server {
    router: Router,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    bounds: Http,
}

impl Server {
    /// A server of `router`, with TLS if files for it are given.
    ///
    /// # Errors
    /// [`Failure::Start`] if certificate and key cannot be used.
    pub fn new(router: Router, tls: Option<&Tls>, bounds: Http) -> Result<Self, Failure> {
        let tls = tls.map(acceptor).transpose()?;
        let places = Arc::new(Semaphore::new(bounds.connections.min(Semaphore::MAX_PERMITS)));
        Ok(Self { router, tls, places, bounds })
    }

    /// Serves whoever comes to `listener` until `ending.stop`, then ends when the requests that are there are answered.
    pub async fn run(self, listener: TcpListener, ending: Ending) {
        let connections = TaskTracker::new();
        let server = Arc::new(self);
        let serve = |stream, remote, place: Option<OwnedSemaphorePermit>| {
            let connection = Connection { server: Arc::clone(&server), remote, ending: ending.clone() };
            connections.spawn(async move {
                connection.serve(stream).await;
                drop(place);
            });
        };
        while let Some((stream, remote, place)) = server.next(&listener, &ending.stop).await {
            serve(stream, remote, Some(place));
        }
        for (stream, remote) in close(listener) {
            serve(stream, remote, None);
        }
        connections.close();
        connections.wait().await;
    }

    /// The next connection, once there is a place for it; `None` at `stop`.
    async fn next(
        &self,
        listener: &TcpListener,
        stop: &CancellationToken,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let accepted = async {
            let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
            let mut outage = Outage::of("listener");
            loop {
                match listener.accept().await {
                    Ok((stream, remote)) => {
                        outage.end();
                        return Some((stream, remote, place));
                    }
                    Err(error) => {
                        outage.begin(&error);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(accepted).await.flatten()
    }
}

/// Closes `listener`, so that whoever comes now is refused or taken by another listener of the address. Those whom the kernel
/// let in already are given back: they would be reset.
fn close(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let mut waiting = Vec::new();
    while waiting.len() <= BACKLOG as usize {
        match listener.accept() {
            Ok(connection) => waiting.push(connection),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(_) => break,
        }
    }
    // At once: who comes between the last look and this is lost.
    drop(listener);
    let usable = |(stream, remote): (std::net::TcpStream, SocketAddr)| {
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, remote))
    };
    waiting.into_iter().filter_map(usable).collect()
}

struct Connection {
    server: Arc<Server>,
    remote: SocketAddr,
    ending: Ending,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a small answer may wait for the client's acknowledgement");
        }
        // A client that sends and never reads would keep its place for ever.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(Duration::from_secs(self.server.bounds.unread_secs)));
        let stream = Box::pin(stream);
        let Some(tls) = &self.server.tls else { return self.answer(stream).await };
        match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.answer(stream).await,
            Ok(Err(error)) => tracing::debug!(remote = %self.remote, %error, "no TLS with a client"),
            Err(_) => tracing::debug!(remote = %self.remote, "no TLS with a client in time"),
        }
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        let (router, remote) = (self.server.router.clone(), self.remote);
        let encrypted = self.server.tls.is_some().then_some(Encrypted);
        let asked = Arc::new(AtomicBool::new(false));
        let (first, draining) = (Arc::clone(&asked), self.ending.draining.clone());
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            first.store(true, Ordering::Relaxed);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(remote));
            if let Some(encrypted) = encrypted {
                request.extensions_mut().insert(encrypted);
            }
            let (answer, draining) = (router.clone().oneshot(request), draining.clone());
            async move {
                let mut answer = answer.await?;
                if draining.is_cancelled() {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(self.server.bounds.header_secs))
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let enough = async {
            self.ending.stop.cancelled().await;
            // Its first request is on its way, and answered as the last.
            if !asked.load(Ordering::Relaxed) {
                tokio::time::sleep(FIRST_REQUEST).await;
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = enough => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%remote, %error, "a connection ended early");
        }
    }
}

/// TLS with the certificate and key in the files.
fn acceptor(tls: &Tls) -> Result<TlsAcceptor, Failure> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::start("tls", format!("{}: {error}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(&tls.cert, &error))?;
    if chain.is_empty() {
        return Err(failed(&tls.cert, &"holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| failed(&tls.key, &error))?;
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| failed(&tls.cert, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
