//! HTTP requests byte by byte, for what no client library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// Status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Sends `request` on a connection of its own to the server at `base` (`http://host:port`) and reads one answer;
/// `None` if the server closed the connection without one. Panics if it neither answers nor closes in time.
pub async fn send_raw(base: &str, request: &[u8]) -> Option<RawAnswer> {
    let address = base.strip_prefix("http://").expect("a plain URL");
    let exchange = async {
        let mut tcp = TcpStream::connect(address).await.expect("connect");
        // A server that has seen enough closes while more is sent; its answer can still be read.
        let _ = tcp.write_all(request).await;
        read_answer(&mut tcp).await
    };
    let shown = || String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
    tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| panic!("no answer to {}", shown()))
}

/// A connection that is used for one request after the other, and made anew when the server has closed it.
#[derive(Debug)]
pub struct RawConnection {
    address: String,
    open: Option<TcpStream>,
}

impl RawConnection {
    /// To the server at `base` (`http://host:port`); nothing is sent yet.
    pub fn new(base: &str) -> Self {
        let address = base.strip_prefix("http://").expect("a plain URL").to_owned();
        Self { address, open: None }
    }

    /// As [`send_raw`], over the connection that is open, if one is.
    pub async fn send(&mut self, request: &[u8]) -> Option<RawAnswer> {
        let exchange = async {
            let mut tcp = match self.open.take() {
                Some(tcp) => tcp,
                None => TcpStream::connect(&self.address).await.expect("connect"),
            };
            let _ = tcp.write_all(request).await;
            let answer = read_answer(&mut tcp).await?;
            let closes = answer.head.to_ascii_lowercase().contains("connection: close");
            self.open = (!closes).then_some(tcp);
            Some(answer)
        };
        let shown = || String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| panic!("no answer to {}", shown()))
    }

    /// Sends what may be no whole request, says that nothing more comes, and waits until the server is done with it.
    pub async fn send_and_close(&mut self, bytes: &[u8]) {
        let exchange = async {
            let mut tcp = TcpStream::connect(&self.address).await.expect("connect");
            let _ = tcp.write_all(bytes).await;
            let _ = tcp.shutdown().await;
            let _ = tcp.read_to_end(&mut Vec::new()).await;
        };
        let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| panic!("{} is kept", shown()));
    }
}

async fn read_answer(tcp: &mut TcpStream) -> Option<RawAnswer> {
    let mut read = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        if let Some(answer) = parse(&read, false) {
            return Some(answer);
        }
        match tcp.read(&mut buffer).await {
            Ok(0) | Err(_) => return parse(&read, true),
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The answer in `read`, once it is whole; without a length it ends with the connection.
fn parse(read: &[u8], closed: bool) -> Option<RawAnswer> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let body = &read[end + 4..];
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    match length {
        Some(length) if body.len() < length && !closed => None,
        None if !closed => None,
        _ => Some(RawAnswer { status, head, body: String::from_utf8_lossy(body).into_owned() }),
    }
}
