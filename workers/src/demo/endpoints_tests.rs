//! Handshakes of cert-mon with the demo endpoint.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::certmon::handshake::{Outcome, Prober, expected_ca_path};
use crate::certmon::target::{AddressTemplate, Target};
use crate::demo::fleet;

const LIMIT: Duration = Duration::from_secs(20);

struct Demo {
    dir: TempDir,
    endpoints: Endpoints,
    stop: CancellationToken,
}

impl Demo {
    async fn start(regions: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(&dir.path().join("authority")).unwrap();
        authority.write_expected(&dir.path().join("expected"), regions.iter().map(String::as_str)).unwrap();
        let stop = CancellationToken::new();
        let endpoints = Endpoints::start(authority, regions.to_vec(), stop.clone()).await.unwrap();
        Self { dir, endpoints, stop }
    }

    fn target(&self, region: &str) -> Target {
        let template: AddressTemplate = self.endpoints.template().parse().unwrap();
        template.resolve("", region).unwrap()
    }

    async fn probe(&self, prober: &Prober, region: &str) -> Outcome {
        let expected = expected_ca_path(&self.dir.path().join("expected"), region);
        prober.probe(&self.target(region), &expected, LIMIT).await
    }
}

fn regions(count: u32) -> Vec<String> {
    fleet(count).unwrap().into_iter().map(|subcloud| subcloud.region).collect()
}

#[tokio::test]
async fn every_region_of_a_thousand_is_served_its_certificate() {
    let regions = regions(1_000);
    let begun = Instant::now();
    let demo = Demo::start(&regions).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "started in {:?}", begun.elapsed());
    let prober = Prober::new().unwrap();
    for region in regions.iter().step_by(97).chain(&regions[..1]) {
        assert_eq!(demo.probe(&prober, region).await, Outcome::Verified, "{region}");
    }
}

#[tokio::test]
async fn the_case_of_a_region_does_not_matter() {
    let demo = Demo::start(&["RegionOne".to_owned()]).await;
    assert_eq!(demo.probe(&Prober::new().unwrap(), "RegionOne").await, Outcome::Verified);
}

#[tokio::test]
async fn other_names_and_none_are_refused() {
    let demo = Demo::start(&regions(2)).await;
    let prober = Prober::new().unwrap();
    for region in ["stranger", "10.0.0.1"] {
        let outcome = demo.probe(&prober, region).await;
        assert!(matches!(outcome, Outcome::Unreachable { .. }), "{region}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_request_is_answered() {
    let regions = regions(1);
    let demo = Demo::start(&regions).await;
    let answer = request(&demo, &regions[0], b"GET /v1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    let endless = vec![b'a'; 64 * 1024];
    let _cut_off = request(&demo, &regions[0], &endless).await;
}

async fn request(demo: &Demo, region: &str, text: &[u8]) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(demo.dir.path().join("authority/ca.pem")).unwrap();
    use rustls_pki_types::pem::PemObject;
    roots.add(rustls_pki_types::CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let tcp = TcpStream::connect(demo.endpoints.address()).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from(region.to_owned()).unwrap();
    let mut tls =
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("names match too");
    let mut answer = Vec::new();
    // The endpoint may close while a request that is too long is still being sent.
    let _ = tls.write_all(text).await;
    let _ = tls.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn a_silent_client_does_not_keep_it_from_stopping() {
    let demo = Demo::start(&regions(1)).await;
    let address = demo.endpoints.address();
    let mut silent = TcpStream::connect(address).await.unwrap();
    demo.stop.cancel();
    timeout(Duration::from_secs(5), demo.endpoints.stopped()).await.expect("stops at once");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    assert!(!matches!(silent.read(&mut [0; 1]).await, Ok(1..)), "the connection is closed");
}

#[tokio::test]
async fn certificates_are_kept_within_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path()).unwrap();
    let certificates = Certificates::new(authority, ["r1".to_owned(), "r2".to_owned()]).unwrap();
    let first = certificates.certificate("r1").unwrap();
    assert!(Arc::ptr_eq(&first, &certificates.certificate("R1").unwrap()), "kept, not signed again");
    assert!(certificates.certificate("r3").is_none());

    let mut kept = Kept::default();
    for number in 0..KEPT_CERTIFICATES + 10 {
        kept.insert(format!("r{number}"), Arc::clone(&first));
    }
    assert_eq!((kept.by_region.len(), kept.by_age.len()), (KEPT_CERTIFICATES, KEPT_CERTIFICATES));
    assert!(!kept.by_region.contains_key("r0") && kept.by_region.contains_key("r10"));
}

#[tokio::test]
async fn the_authority_is_found_again_after_a_restart() {
    let regions = regions(1);
    let demo = Demo::start(&regions).await;
    let again = Authority::open(&demo.dir.path().join("authority")).unwrap();
    let later = Endpoints::start(again, regions.clone(), demo.stop.clone()).await.unwrap();
    let template: AddressTemplate = later.template().parse().unwrap();
    let expected: &Path = &expected_ca_path(&demo.dir.path().join("expected"), &regions[0]);
    let target = template.resolve("", &regions[0]).unwrap();
    assert_eq!(Prober::new().unwrap().probe(&target, expected, LIMIT).await, Outcome::Verified);
}
