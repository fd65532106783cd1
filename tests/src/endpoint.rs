//! A subcloud endpoint of the test's own, whose TLS handshakes wait until the test lets them go on.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::LazyConfigAcceptor;

use crate::dcm::Serve;
use crate::wait::eventually;
use crate::workdir::WorkDir;

/// How long cert-mon may take to knock, and how long it is patient with a handshake.
const PATIENCE: u64 = 60;

/// Listens on loopback for every region at once. Dropped, it stops.
#[derive(Debug)]
pub struct HeldEndpoint {
    port: u16,
    dir: WorkDir,
    authority: String,
    open: watch::Sender<bool>,
    knocked: watch::Receiver<HashSet<String>>,
    task: JoinHandle<()>,
}

impl HeldEndpoint {
    /// Starts holding: a client's first message is read, and then nothing is answered.
    pub async fn start() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![]).expect("parameters of an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec!["endpoint".to_owned()]).expect("parameters of a leaf");
        let leaf = leaf.signed_by(&key, &authority).expect("a leaf");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .expect("a TLS configuration");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on loopback");
        let port = listener.local_addr().expect("an address").port();
        let (open, opened) = watch::channel(false);
        let (knock, knocked) = watch::channel(HashSet::new());
        let task = tokio::spawn(serve(listener, Arc::new(config), opened, knock));
        Self { port, dir: WorkDir::new("expected-ca"), authority: authority.pem(), open, knocked, task }
    }

    /// Writes down the authority of this endpoint as the one expected for `region`.
    pub fn expected_for(&self, region: &str) {
        let path = self.dir.path().join(format!("{region}.pem"));
        std::fs::write(path, &self.authority).expect("write the expected CA");
    }

    /// A server whose cert-mon audits this endpoint for every region, every 2 s.
    pub(crate) fn audited_by(&self, serve: Serve) -> Serve {
        let port = self.port;
        [
            format!("cert_mon.endpoint=https://127.0.0.1:{port}"),
            format!("cert_mon.ca_dir={}", self.dir.path().display()),
            format!("cert_mon.schedule.certificate_timeout_secs={PATIENCE}"),
            "cert_mon.schedule.audit_interval=2".to_owned(),
            "cert_mon.schedule.poll_interval=1".to_owned(),
            "cert_mon.schedule.startup_audit_all=true".to_owned(),
        ]
        .into_iter()
        .fold(serve, |serve, setting| serve.flag("--set", setting))
    }

    /// Waits until a client has begun a handshake for `region` and is held.
    pub async fn knocked(&self, region: &str) {
        eventually(
            format!("a handshake for {region} has begun"),
            Duration::from_secs(PATIENCE),
            async || {
                let knocked = self.knocked.borrow().clone();
                if knocked.contains(region) { Ok(()) } else { Err(knocked) }
            },
        )
        .await;
    }

    /// Lets every handshake end, also those to come.
    pub fn release(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for HeldEndpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    open: watch::Receiver<bool>,
    knock: watch::Sender<HashSet<String>>,
) {
    // A connection that was not accepted is the client's to try again.
    while let Ok((tcp, _)) = listener.accept().await {
        tokio::spawn(answer(tcp, Arc::clone(&config), open.clone(), knock.clone()));
    }
}

async fn answer(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
    mut open: watch::Receiver<bool>,
    knock: watch::Sender<HashSet<String>>,
) {
    let Ok(begun) = LazyConfigAcceptor::new(Acceptor::default(), tcp).await else { return };
    let region = begun.client_hello().server_name().unwrap_or_default().to_owned();
    knock.send_modify(|knocked| {
        knocked.insert(region);
    });
    if open.wait_for(|open| *open).await.is_err() {
        return;
    }
    // What a client does after the handshake is its own business; it is read to its end.
    if let Ok(mut tls) = begun.into_stream(config).await {
        let _ = tls.read_to_end(&mut Vec::new()).await;
    }
}
