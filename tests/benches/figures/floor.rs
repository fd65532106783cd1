//! The floor: a server of the same HTTP stack (axum on hyper, served as the product serves it) that does next to
//! nothing. This program started with `--floor` is that server, a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch};
use axum::{Json, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// The table of single rows.
pub const TABLE: &str = "create table if not exists bare_row (id bigserial primary key, body text not null)";
/// One row of it.
pub const INSERT: &str = "insert into bare_row (body) values ($1)";
/// As much as an event has.
pub const ROW_BYTES: usize = 900;
/// Connections to the database: one per client of the largest run would not be faster.
const CONNECTIONS: u32 = 32;

/// A bare server that runs.
pub struct Floor {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Floor {
    /// Starts one; static bodies are the files in `statics`, in their order, and rows go to `database`.
    pub async fn start(statics: &[PathBuf], database: Option<&str>) -> Self {
        let own = std::env::current_exe().expect("a process knows its program");
        let mut command = Command::new(own);
        command.arg("--floor").arg(database.unwrap_or("-")).args(statics);
        let mut child =
            command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("start the bare server");
        let stdout = child.stdout.take().expect("its output is piped");
        let line = BufReader::new(stdout).lines().next_line().await.expect("its first line");
        let address = line.and_then(|line| line.parse().ok()).expect("its address");
        Self { address, child }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs until it is dropped")
    }
}

#[derive(Clone)]
struct Bare {
    statics: Vec<Bytes>,
    database: Option<PgPool>,
}

/// Serves until it is killed.
pub async fn serve(database: &str, statics: &[String]) {
    let database = match database {
        "-" => None,
        url => Some(connect(url).await),
    };
    let statics =
        statics.iter().map(|file| Bytes::from(std::fs::read(file).expect("a static body"))).collect();
    let router = Router::new()
        .route("/trivial", get(async || "ok"))
        .route("/static/{index}", get(fixed))
        .route("/commit", patch(commit))
        .with_state(Bare { statics, database });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    crate::say(listener.local_addr().expect("it listens"));
    loop {
        let (stream, remote) = listener.accept().await.expect("a connection");
        tokio::spawn(answer(stream, remote, router.clone()));
    }
}

async fn connect(url: &str) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await.expect("connect");
    sqlx::query(TABLE).execute(&pool).await.expect("create the table of rows");
    pool
}

async fn fixed(State(bare): State<Bare>, Path(index): Path<usize>) -> Response {
    ([("content-type", "application/json")], bare.statics[index].clone()).into_response()
}

async fn commit(State(bare): State<Bare>, _: Bytes) -> Response {
    let pool = bare.database.as_ref().expect("the bare server has a database");
    let body = "x".repeat(ROW_BYTES);
    sqlx::query(INSERT).bind(body).execute(pool).await.expect("commit a row");
    Json(json!({"committed": true})).into_response()
}

/// As `dcm` serves a connection.
async fn answer(stream: TcpStream, remote: SocketAddr, router: Router) {
    stream.set_nodelay(true).expect("a TCP connection");
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(Duration::from_secs(60)));
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(remote));
        router.clone().oneshot(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // A client that goes away is the end of the connection, and that is all.
    let _ = served.await;
}
