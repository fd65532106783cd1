//! What one connection may hold, and TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use dcm_tests::{Dcm, Serve, WorkDir, eventually, run_dcm, send_raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(dcm: &Dcm) -> TcpStream {
    TcpStream::connect(dcm.url().strip_prefix("http://").unwrap()).await.unwrap()
}

/// Reads until the server closes; panics if it does not.
async fn closed(tcp: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut read)).await;
    // A reset is a way to close, too.
    let _ = ended.expect("the server keeps the connection");
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn a_client_that_dawdles_over_its_head_or_says_nothing_is_let_go() {
    let dcm = Dcm::serve().flag("--set", "http.header_secs=1").start().await;
    let began = Instant::now();
    let (mut silent, mut slow, mut idle) = (connect(&dcm).await, connect(&dcm).await, connect(&dcm).await);
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ").await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // Bytes that come one by one do not prolong it.
    let (mut reading, mut writing) = slow.split();
    let trickle = async {
        while writing.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut said = Vec::new();
    let ended = async { tokio::time::timeout(PATIENCE, reading.read_to_end(&mut said)).await };
    tokio::select! {
        () = trickle => {}
        ended = ended => drop(ended.expect("a trickling client keeps its connection")),
    }
    assert_eq!(closed(&mut silent).await, "");
    assert!(closed(&mut idle).await.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_client_that_never_reads_is_let_go() {
    let serve = Dcm::serve().flag("--set", "http.unread_secs=1").flag("--set", "http.connections=1");
    let dcm = serve.start().await;
    // The only place is taken by one that asks for more than buffers hold, and reads nothing of it.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = dcm.url().strip_prefix("http://").unwrap().parse().unwrap();
    let mut deaf = socket.connect(address).await.unwrap();
    let asking = tokio::spawn(async move {
        for _ in 0..1000 {
            if deaf.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n").await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    });
    let http = dcm.http();
    eventually("the place is free again", PATIENCE, async || match http.get("/healthz").try_send().await {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    asking.abort();
}

#[tokio::test]
async fn a_head_beyond_all_bounds_is_431() {
    let dcm = Dcm::serve().start().await;
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n", "a".repeat(300_000));
    assert_eq!(send_raw(dcm.url(), long.as_bytes()).await.unwrap().status, 431);
    let many: String = (0..500).map(|number| format!("X-{number}: a\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    assert_eq!(send_raw(dcm.url(), many.as_bytes()).await.unwrap().status, 431);
}

/// A server with a certificate of its own for `localhost`, and that certificate in PEM.
fn encrypted(dir: &WorkDir) -> (Serve, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let serve = Dcm::serve().flag("--tls-cert", cert).flag("--tls-key", key);
    (serve, made.cert.pem())
}

#[tokio::test]
async fn https_is_served_with_the_given_certificate() {
    let dir = WorkDir::new("tls");
    let (serve, pem) = encrypted(&dir);
    let mut dcm = serve.start().await;
    assert!(dcm.url().starts_with("https://127.0.0.1:"));
    let authority = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().add_root_certificate(authority).build().unwrap();
    let answer = client.get(format!("{}/", dcm.url())).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let versions: serde_json::Value = answer.json().await.unwrap();
    let own = versions["versions"][0]["links"][0]["href"].as_str().unwrap();
    assert_eq!(own, format!("{}/v1.0/", dcm.url()));

    // So do the operator's commands, if they are told whom to trust.
    let list = ["projections", "list", "--url", dcm.url()];
    let file = dir.path().join("cert.pem").display().to_string();
    run_dcm(list.iter().copied().chain(["--cacert", &file])).await.ok();
    assert!(!run_dcm(list).await.status.success());
    // Empty variables are as none: the server cannot be trusted, which is no fault of the file's.
    let none = run_dcm(list.iter().copied().chain(["--cacert", "", "--token", ""])).await;
    assert!(!none.status.success() && none.stderr.contains(dcm.url()), "{}", none.stderr);
    run_dcm(list.iter().copied().chain(["--cacert", &file, "--token", ""])).await.ok();
    let none = dir.path().join("none.pem").display().to_string();
    let refused = run_dcm(list.iter().copied().chain(["--cacert", &none])).await;
    assert!(!refused.status.success() && refused.stderr.contains("none.pem"), "{}", refused.stderr);

    // Whoever does not speak TLS, or stays silent, holds nobody up.
    let mut plain = TcpStream::connect(dcm.url().strip_prefix("https://").unwrap()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(!closed(&mut plain).await.contains("HTTP/1.1"));
    let _silent = TcpStream::connect(dcm.url().strip_prefix("https://").unwrap()).await.unwrap();
    assert_eq!(client.get(format!("{}/healthz", dcm.url())).send().await.unwrap().status(), 200);
    assert!(dcm.terminate().await.success());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_stops_the_start() {
    let dir = WorkDir::new("tls");
    let (serve, _) = encrypted(&dir);
    std::fs::write(dir.path().join("cert.pem"), "nothing").unwrap();
    let refused = serve.try_start().await.expect_err("it must refuse to start");
    assert!(refused.stderr.contains("cert.pem"), "{}", refused.stderr);
}
