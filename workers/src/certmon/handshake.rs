//! Fetches the chain an endpoint serves and checks it against the CA expected for the region.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::chain::ExpectedCa;
use super::target::Target;

/// What a look at an endpoint showed. Reasons are words for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The served chain leads to the expected CA.
    Verified,
    /// A chain was served, and it does not.
    NotVerified {
        /// What is wrong with it.
        reason: String,
    },
    /// No chain was served in time.
    Unreachable {
        /// How far it got.
        reason: String,
    },
    /// A chain was served, but there is nothing to compare it with.
    CaMissing {
        /// The file that should hold the CA.
        path: PathBuf,
        /// Why it does not.
        reason: String,
    },
}

/// The file that holds the CA expected for `region`: `<dir>/<region>.pem`. Characters that design.md §4 refuses in
/// regions are percent-encoded, so that the file is in `dir` whatever an imported region consists of.
pub fn expected_ca_path(dir: &Path, region: &str) -> PathBuf {
    const NOT_IN_REGIONS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');
    dir.join(format!("{}.pem", utf8_percent_encode(region, NOT_IN_REGIONS)))
}

/// Does handshakes. Cheap to clone.
#[derive(Clone)]
pub struct Prober {
    connector: TlsConnector,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Prober {
    /// A prober on the ring provider, whatever the process-wide default is. Fails only if that provider has no
    /// cipher suite for any TLS version.
    pub fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let mut config = client_config(provider)?;
        // A resumed session carries the chain of an earlier handshake, not the one served now.
        config.resumption = Resumption::disabled();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), algorithms })
    }

    /// Fetches the chain served at `target` and checks it against the certificates in `ca_file`. The connection and
    /// the handshake together take no longer than `limit`. The order is access.md §13.4's: an endpoint that cannot
    /// be reached is reported as such, even if the CA is missing too.
    pub async fn probe(&self, target: &Target, ca_file: &Path, limit: Duration) -> Outcome {
        let chain = match self.fetch_chain(target, limit).await {
            Ok(chain) => chain,
            Err(reason) => return Outcome::Unreachable { reason },
        };
        let expected = match read_expected(ca_file).await {
            Ok(expected) => expected,
            Err(reason) => return Outcome::CaMissing { path: ca_file.to_owned(), reason },
        };
        match expected.verify(&chain, UnixTime::now(), &self.algorithms) {
            Ok(()) => Outcome::Verified,
            Err(refused) => Outcome::NotVerified { reason: refused.to_string() },
        }
    }

    async fn fetch_chain(
        &self,
        target: &Target,
        limit: Duration,
    ) -> Result<Vec<CertificateDer<'static>>, String> {
        let deadline = Instant::now() + limit;
        let tcp = match timeout_at(deadline, TcpStream::connect((target.host(), target.port()))).await {
            Ok(connected) => connected.map_err(|error| format!("{target}: {error}"))?,
            Err(_) => return Err(format!("{target}: no connection within {limit:?}")),
        };
        let handshake = self.connector.connect(target.server_name().clone(), tcp);
        let mut tls = match timeout_at(deadline, handshake).await {
            Ok(done) => done.map_err(|error| format!("{target}: {error}"))?,
            Err(_) => return Err(format!("{target}: no handshake within {limit:?}")),
        };
        let chain = tls.get_ref().1.peer_certificates().map(<[_]>::to_vec).unwrap_or_default();
        // A courtesy to the endpoint; the chain is known whether or not it is received.
        let _ = timeout_at(deadline, tls.shutdown()).await;
        Ok(chain)
    }
}

async fn read_expected(ca_file: &Path) -> Result<ExpectedCa, String> {
    let pem = tokio::fs::read(ca_file).await.map_err(|error| error.to_string())?;
    ExpectedCa::from_pem(&pem).map_err(|error| error.to_string())
}

fn client_config(provider: Arc<CryptoProvider>) -> Result<ClientConfig, rustls::Error> {
    let algorithms = provider.signature_verification_algorithms;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyChain { algorithms }))
        .with_no_client_auth())
}

/// Lets every chain through, because a wrong one is a finding and not a failed connection; [`ExpectedCa`] judges it
/// afterwards. That the endpoint holds the key of what it serves is still proven here.
#[derive(Debug)]
struct AnyChain {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyChain {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use rustls::ServerConfig;
    use rustls_pki_types::PrivateKeyDer;
    use tempfile::TempDir;
    use tokio::net::TcpListener;
    use tokio_util::sync::{CancellationToken, DropGuard};

    use super::super::target::AddressTemplate;
    use super::super::testing::{Ca, YEARS_LEFT, YEARS_PAST, Years};
    use super::*;
    use crate::demo::endpoints::Endpoints;

    const LIMIT: Duration = Duration::from_secs(20);

    struct Endpoint {
        running: Endpoints,
        _stop: DropGuard,
    }

    impl Endpoint {
        async fn serving(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
            Self::serving_with(rustls::DEFAULT_VERSIONS, chain, key).await
        }

        async fn serving_with(
            versions: &[&'static rustls::SupportedProtocolVersion],
            chain: Vec<CertificateDer<'static>>,
            key: PrivateKeyDer<'static>,
        ) -> Self {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(versions)
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .unwrap();
            let stop = CancellationToken::new();
            let running = Endpoints::serve(config, stop.clone()).await.unwrap();
            Self { running, _stop: stop.drop_guard() }
        }

        async fn with_leaf_of(ca: &Ca, years: Years) -> Self {
            let (leaf, key) = ca.leaf("r1", years);
            Self::serving(vec![leaf], key).await
        }

        async fn probe(&self, ca_file: &Path) -> Outcome {
            probe(&self.running.template(), ca_file, LIMIT).await
        }
    }

    async fn probe(template: &str, ca_file: &Path, limit: Duration) -> Outcome {
        let template: AddressTemplate = template.parse().unwrap();
        Prober::new().unwrap().probe(&template.resolve("", "r1").unwrap(), ca_file, limit).await
    }

    fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = expected_ca_path(dir.path(), "r1");
        std::fs::write(&path, content).unwrap();
        (dir, path)
    }

    #[tokio::test]
    async fn a_certificate_of_the_expected_ca_is_verified() {
        let root = Ca::root("root", YEARS_LEFT);
        let endpoint = Endpoint::with_leaf_of(&root, YEARS_LEFT).await;
        let (_dir, path) = file(root.pem());
        assert_eq!(endpoint.probe(&path).await, Outcome::Verified);
    }

    #[tokio::test]
    async fn both_tls_versions_and_a_served_intermediate_are_understood() {
        let root = Ca::root("root", YEARS_LEFT);
        let region = root.intermediate("region", YEARS_LEFT);
        let (_dir, path) = file(root.pem());
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let (leaf, key) = region.leaf("r1", YEARS_LEFT);
            let endpoint = Endpoint::serving_with(&[version], vec![leaf, region.der()], key).await;
            assert_eq!(endpoint.probe(&path).await, Outcome::Verified, "{version:?}");
        }
    }

    #[tokio::test]
    async fn the_name_in_the_certificate_is_not_compared() {
        let root = Ca::root("root", YEARS_LEFT);
        let (leaf, key) = root.leaf("another.name", YEARS_LEFT);
        let endpoint = Endpoint::serving(vec![leaf], key).await;
        let (_dir, path) = file(root.pem());
        assert_eq!(endpoint.probe(&path).await, Outcome::Verified);
    }

    #[tokio::test]
    async fn a_certificate_of_another_ca_is_not_verified() {
        let endpoint = Endpoint::with_leaf_of(&Ca::root("root", YEARS_LEFT), YEARS_LEFT).await;
        let (_dir, path) = file(Ca::root("root", YEARS_LEFT).pem());
        let outcome = endpoint.probe(&path).await;
        assert!(matches!(outcome, Outcome::NotVerified { .. }), "{outcome:?}");
    }

    #[tokio::test]
    async fn an_expired_certificate_is_not_verified() {
        let root = Ca::root("root", YEARS_LEFT);
        let endpoint = Endpoint::with_leaf_of(&root, YEARS_PAST).await;
        let (_dir, path) = file(root.pem());
        let outcome = endpoint.probe(&path).await;
        assert!(
            matches!(&outcome, Outcome::NotVerified { reason } if reason.contains("expired")),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn an_endpoint_without_the_key_of_its_certificate_proves_nothing() {
        let root = Ca::root("root", YEARS_LEFT);
        let (stolen, _) = root.leaf("r1", YEARS_LEFT);
        let (_, own_key) = root.leaf("r1", YEARS_LEFT);
        let signer = rustls::crypto::ring::sign::any_supported_type(&own_key).unwrap();
        let mismatched = rustls::sign::CertifiedKey::new(vec![stolen], signer);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(mismatched)));
        let stop = CancellationToken::new();
        let endpoint = Endpoint {
            running: Endpoints::serve(config, stop.clone()).await.unwrap(),
            _stop: stop.drop_guard(),
        };
        let (_dir, path) = file(root.pem());
        let outcome = endpoint.probe(&path).await;
        assert!(
            matches!(&outcome, Outcome::Unreachable { reason } if reason.contains("BadSignature")),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn nothing_listening_is_unreachable_even_without_a_ca() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let template = format!("https://{}", listener.local_addr().unwrap());
        drop(listener);
        let outcome = probe(&template, Path::new("/nonexistent/r1.pem"), LIMIT).await;
        assert!(
            matches!(&outcome, Outcome::Unreachable { reason } if reason.contains(&template)),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn a_listener_that_says_nothing_is_unreachable_when_its_time_is_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let template = format!("https://{}", listener.local_addr().unwrap());
        let silent = tokio::spawn(async move { listener.accept().await });
        let limit = Duration::from_millis(100);
        let outcome = probe(&template, Path::new("/nonexistent/r1.pem"), limit).await;
        assert!(
            matches!(&outcome, Outcome::Unreachable { reason } if reason.contains("no handshake within")),
            "{outcome:?}"
        );
        silent.await.unwrap().expect("it did accept");
    }

    #[tokio::test]
    async fn a_listener_that_does_not_speak_tls_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let template = format!("https://{}", listener.local_addr().unwrap());
        let plain = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let outcome = probe(&template, Path::new("/nonexistent/r1.pem"), LIMIT).await;
        assert!(matches!(outcome, Outcome::Unreachable { .. }), "{outcome:?}");
        plain.await.unwrap();
    }

    #[tokio::test]
    async fn a_missing_or_broken_ca_file_is_named() {
        let root = Ca::root("root", YEARS_LEFT);
        let endpoint = Endpoint::with_leaf_of(&root, YEARS_LEFT).await;
        let (dir, garbage) = file("-----BEGIN CERTIFICATE-----\ngarbage\n-----END CERTIFICATE-----\n");
        let (_dir, binary) = file([0xff, 0x00, 0x17]);
        for ca_file in [dir.path().join("absent.pem"), garbage, binary, dir.path().to_owned()] {
            match endpoint.probe(&ca_file).await {
                Outcome::CaMissing { path, reason } => {
                    assert_eq!(path, ca_file);
                    assert!(!reason.is_empty());
                }
                other => panic!("{}: {other:?}", ca_file.display()),
            }
        }
    }

    #[test]
    fn the_expected_ca_stays_in_its_directory() {
        let path = |region| expected_ca_path(Path::new("/ca"), region).display().to_string();
        assert_eq!(path("Region_One-1.x"), "/ca/Region_One-1.x.pem");
        assert_eq!(path("../../etc/x"), "/ca/..%2F..%2Fetc%2Fx.pem");
        assert_eq!(path("/etc/x"), "/ca/%2Fetc%2Fx.pem");
    }
}
