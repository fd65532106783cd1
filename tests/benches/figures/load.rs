//! A load generator that costs little beside what it measures: HTTP/1.1 written and read by hand on connections that
//! are kept, all clients on one thread. Every status is checked.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Makes the next request of a client.
pub trait Script {
    /// The bytes of request `number` (from 0) of `client`.
    fn request(&self, client: usize, number: usize) -> Vec<u8>;

    /// What to do before it that is not measured: a whole request to another server, perhaps.
    fn before(&self, _client: usize, _number: usize) -> Option<(SocketAddr, Vec<u8>)> {
        None
    }

    /// Told once a request was answered with 200.
    fn answered(&self, _client: usize, _number: usize) {}
}

impl<F: Fn(usize, usize) -> Vec<u8>> Script for F {
    fn request(&self, client: usize, number: usize) -> Vec<u8> {
        self(client, number)
    }
}

/// What a run saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How long each request took, in seconds, in no order.
    pub times: Vec<f64>,
    /// How long the run took, in seconds.
    pub elapsed: f64,
    /// Requests that were under way at once.
    pub clients: usize,
}

impl Seen {
    /// Requests a second, of the time spent in measured requests alone.
    pub fn rate(&self) -> f64 {
        count(self.times.len()) / self.times.iter().sum::<f64>() * count(self.clients)
    }

    /// The time that this share of the requests stayed below, in milliseconds.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let mut times = self.times.clone();
        times.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into a list of measurements"
        )]
        let at = (count(times.len()) * share) as usize;
        times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or(f64::NAN) * 1000.0
    }
}

/// A count as a number to calculate with.
pub fn count(number: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let number = number as f64;
    number
}

/// Lets `clients` send what `script` says, one request after another each, until `how_long` has passed or each has
/// sent `most` requests. Panics if an answer is not 200.
pub async fn run<S: Script + Send + 'static>(
    address: SocketAddr,
    clients: usize,
    how_long: Duration,
    most: usize,
    script: S,
) -> (Seen, S) {
    let load = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime for the clients");
        LocalSet::new().block_on(&runtime, closed_loop(address, clients, how_long, most, script))
    };
    tokio::task::spawn_blocking(load).await.expect("the clients do not panic")
}

async fn closed_loop<S: Script + 'static>(
    address: SocketAddr,
    clients: usize,
    how_long: Duration,
    most: usize,
    script: S,
) -> (Seen, S) {
    let script = Rc::new(script);
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(address).await);
    }
    let started = Instant::now();
    let until = started + how_long;
    let running = connections.into_iter().enumerate().map(|(client, connection)| {
        let script = Rc::clone(&script);
        tokio::task::spawn_local(one(client, connection, until, most, script))
    });
    let running: Vec<_> = running.collect();
    let mut times = Vec::new();
    for client in running {
        times.append(&mut client.await.expect("a client does not panic"));
    }
    let seen = Seen { times, elapsed: started.elapsed().as_secs_f64(), clients };
    let script = Rc::into_inner(script).expect("every client has ended");
    (seen, script)
}

async fn one<S: Script>(
    client: usize,
    mut connection: Connection,
    until: Instant,
    most: usize,
    script: Rc<S>,
) -> Vec<f64> {
    let mut times = Vec::new();
    let mut aside: Option<Connection> = None;
    for number in 0..most {
        if Instant::now() >= until {
            break;
        }
        if let Some((other, request)) = script.before(client, number) {
            let connection = match &mut aside {
                Some(connection) => connection,
                none => none.insert(Connection::open(other).await),
            };
            connection.exchange(&request).await;
        }
        let request = script.request(client, number);
        let begun = Instant::now();
        connection.exchange(&request).await;
        times.push(begun.elapsed().as_secs_f64());
        script.answered(client, number);
    }
    times
}

/// One connection that is kept.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The head of the last answer.
    head: String,
}

impl Connection {
    /// Connects. Panics if nobody listens.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connect to the server");
        stream.set_nodelay(true).expect("a TCP connection");
        Self { stream, buffer: vec![0; 256 * 1024], head: String::new() }
    }

    /// Sends a request and reads its answer to the end; gives the length of the body. Panics unless the answer is 200.
    pub async fn exchange(&mut self, request: &[u8]) -> usize {
        self.stream.write_all(request).await.expect("send a request");
        let (mut filled, head_end) = (self.read_head().await.expect("read an answer"), self.head.len());
        assert!(
            self.head.starts_with("HTTP/1.1 200 "),
            "{}: {}{}",
            String::from_utf8_lossy(request).lines().next().unwrap_or_default(),
            self.head,
            String::from_utf8_lossy(&self.buffer[head_end..filled])
        );
        let length: usize =
            self.header("content-length").and_then(|text| text.parse().ok()).expect("a length");
        let mut left = (head_end + length).saturating_sub(filled);
        while left > 0 {
            filled = self.stream.read(&mut self.buffer).await.expect("read an answer");
            assert!(filled > 0, "the answer ends early");
            left = left.saturating_sub(filled);
        }
        length
    }

    /// The value of a header of the last answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                && line.as_bytes().get(name.len()) == Some(&b':')
        });
        line.and_then(|line| line.get(name.len() + 1..)).map(str::trim)
    }

    /// Reads until the head is there; how much was read.
    async fn read_head(&mut self) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            if let Some(end) = self.buffer[..filled].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                self.head.clear();
                self.head.push_str(&String::from_utf8_lossy(&self.buffer[..end + 4]));
                return Ok(filled);
            }
        }
    }
}

/// A GET.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n").into_bytes()
}

/// A GET that wants to see a position.
pub fn get_at(path: &str, position: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\ndcm-position: {position}\r\n\r\n").into_bytes()
}

/// A PATCH with the fields of a form, as the command line sends it.
pub fn patch(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let parts = fields.iter().map(|(name, value)| {
        format!("--bench\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    let body = parts.collect::<String>() + "--bench--\r\n";
    body_of("PATCH", path, "multipart/form-data; boundary=bench", &body)
}

/// A PATCH with JSON.
pub fn patch_json(path: &str, body: &str) -> Vec<u8> {
    body_of("PATCH", path, "application/json", body)
}

fn body_of(method: &str, path: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\ncontent-type: {kind}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
