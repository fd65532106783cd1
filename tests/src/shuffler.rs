//! A TCP proxy before a NATS server, through which deliveries come twice, late and in another order.
//!
//! A bus may do so, and seldom does by itself. Touched is what consumers are given, and what nudges those who listen;
//! answers to requests pass as they come. Whoever reads a stream without settling what it reads, as the proofs of an
//! operator do, counts on the order that only one connection has, and is not to be led through here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::frames::{Frame, Frames, Given};

/// The longest that anything is held back, in milliseconds: much shorter than what a consumer has to answer.
const LONGEST: u64 = 300;
/// The most deliveries of a connection that one of them is held back for.
const FURTHEST: u32 = 6;

/// The proxy. Dropped, it and its connections are gone.
#[derive(Debug)]
pub struct Shuffler {
    url: String,
    records: Records,
    /// A thread of its own: tests block theirs.
    runtime: Option<Runtime>,
}

/// What became of the deliveries to one consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many the server made.
    pub made: usize,
    /// How many of them were handed on a second time.
    pub doubled: usize,
    /// How many of them were handed on behind a later one.
    pub reordered: usize,
}

/// A consumer, and the connection if each has its own order: nudges have no other.
type Key = (String, u64);
type Records = Arc<Mutex<BTreeMap<Key, Record>>>;

#[derive(Debug, Default)]
struct Record {
    tally: Tally,
    /// Places in the stream, in the order in which they were handed on.
    passed: Vec<u64>,
}

impl Shuffler {
    /// Listens on a port of its own for clients of the server at `port`, which may come and go. `seed` makes its choices.
    pub fn start(port: u16, seed: u64) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let url = format!("nats://{}", listener.local_addr().expect("an address"));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime of its own");
        let records = Records::default();
        runtime.spawn(listen(listener, port, seed, Arc::clone(&records)));
        Self { url, records, runtime: Some(runtime) }
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What became of the deliveries so far, by stream and consumer (`DCM_EVENTS cert-mon`), and by subject of nudges.
    pub fn tallies(&self) -> BTreeMap<String, Tally> {
        let mut tallies = BTreeMap::<String, Tally>::new();
        for ((consumer, _), Record { tally, .. }) in lock(&self.records).iter() {
            let all = tallies.entry(consumer.clone()).or_default();
            all.made += tally.made;
            all.doubled += tally.doubled;
            all.reordered += tally.reordered;
        }
        tallies
    }
}

impl Drop for Shuffler {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Tests end within a runtime, where nobody may wait for another one.
            runtime.shutdown_background();
        }
    }
}

fn lock(records: &Records) -> MutexGuard<'_, BTreeMap<Key, Record>> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(listener: std::net::TcpListener, port: u16, seed: u64, records: Records) {
    let listener = TcpListener::from_std(listener).expect("a listener that does not block");
    let mut number = 0_u64;
    while let Ok((client, _)) = listener.accept().await {
        number += 1;
        let dice = StdRng::seed_from_u64(seed.wrapping_add(number));
        let records = Arc::clone(&records);
        let line = Line { number, dice, records, nudges: 0, held: Vec::new(), out: Vec::new() };
        tokio::spawn(carry(client, port, line));
    }
}

/// Connects a client with the server. One that is away shows as a connection that ends at once.
async fn carry(client: TcpStream, port: u16, line: Line) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    for end in [&client, &server] {
        let _ = end.set_nodelay(true);
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(pass_on(from_client, to_server), line.hand_on(from_server, to_client));
}

/// What a client sends goes as it comes. The end of one side is told to the other.
async fn pass_on(mut client: OwnedReadHalf, mut server: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut client, &mut server).await;
    let _ = server.shutdown().await;
}

/// One connection, from the server to the client.
struct Line {
    number: u64,
    dice: StdRng,
    records: Records,
    /// How many nudges came.
    nudges: u64,
    held: Vec<Held>,
    /// What is to be written next.
    out: Vec<u8>,
}

/// A delivery that is held back.
struct Held {
    frame: Frame,
    key: Key,
    sequence: u64,
    /// It was handed on before.
    again: bool,
    /// How many to its consumer had been handed on by the time it came.
    passed: usize,
    /// How many further deliveries of the connection it waits for, and until when at most.
    behind: u32,
    until: Instant,
}

impl Line {
    async fn hand_on(mut self, mut server: OwnedReadHalf, mut client: OwnedWriteHalf) {
        let mut frames = Frames::default();
        loop {
            while let Some(frame) = frames.cut() {
                self.take(frame);
            }
            self.release();
            if client.write_all(&self.out).await.is_err() {
                break;
            }
            self.out.clear();
            let next = self.held.iter().map(|held| held.until).min();
            tokio::select! {
                read = server.read_buf(frames.buffer()) => {
                    if !matches!(read, Ok(1..)) {
                        break;
                    }
                }
                () = wait(next) => {}
            }
        }
        let _ = client.shutdown().await;
    }

    /// Decides what becomes of a frame.
    fn take(&mut self, frame: Frame) {
        let Some((key, sequence)) = self.address(&frame) else {
            self.out.extend_from_slice(frame.without_other_servers().bytes());
            return;
        };
        let passed = {
            let mut records = lock(&self.records);
            let record = records.entry(key.clone()).or_default();
            record.tally.made += 1;
            record.passed.len()
        };
        let (again, late) = match self.dice.random_range(0..4_u8) {
            0 => (true, false),
            1 => (false, true),
            _ => (false, false),
        };
        if again || late {
            let until = Instant::now() + Duration::from_millis(self.dice.random_range(1..=LONGEST));
            let behind = self.dice.random_range(1..=FURTHEST);
            let (frame, key) = (frame.clone(), key.clone());
            self.held.push(Held { frame, key, sequence, again, passed, behind, until });
        }
        if !late {
            self.out.extend_from_slice(frame.bytes());
            lock(&self.records).entry(key).or_default().passed.push(sequence);
            for held in &mut self.held {
                held.behind = held.behind.saturating_sub(1);
            }
            self.release();
        }
    }

    /// To whom something is given, and its place among what is given there; `None` if it is for no consumer.
    fn address(&mut self, frame: &Frame) -> Option<(Key, u64)> {
        Some(match frame.given()? {
            Given::Delivery { stream, consumer, sequence } => ((format!("{stream} {consumer}"), 0), sequence),
            Given::Nudge(subject) => {
                self.nudges += 1;
                ((subject, self.number), self.nudges)
            }
        })
    }

    /// Hands on what has been held back long enough.
    fn release(&mut self) {
        let now = Instant::now();
        let held = std::mem::take(&mut self.held).into_iter();
        let (ready, held): (Vec<Held>, Vec<Held>) =
            held.partition(|held| held.behind == 0 || held.until <= now);
        self.held = held;
        for Held { frame, key, sequence, again, passed, .. } in ready {
            self.out.extend_from_slice(frame.bytes());
            let mut records = lock(&self.records);
            let record = records.entry(key).or_default();
            match again {
                true => record.tally.doubled += 1,
                false => {
                    let overtaken = record.passed[passed..].iter().any(|later| *later > sequence);
                    record.tally.reordered += usize::from(overtaken);
                }
            }
            record.passed.push(sequence);
        }
    }
}

/// Until then; without a time, for ever.
async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u64 = 400;
    const SOON: Duration = Duration::from_secs(20);

    /// Sends deliveries, and behind each the answer to a request.
    async fn send(server: &mut TcpStream) {
        for sequence in 1..=COUNT {
            let answer = sequence.to_string();
            let frames = format!(
                "MSG a 1 $JS.ACK.S.c.1.{sequence}.{sequence}.0.0 1\r\nx\r\nMSG _INBOX.a 2 {}\r\n{answer}\r\n",
                answer.len()
            );
            server.write_all(frames.as_bytes()).await.unwrap();
        }
    }

    /// Reads until every delivery and every answer came: places in the stream, and all else as it came.
    async fn receive(client: &mut TcpStream) -> (Vec<u64>, Vec<u8>) {
        let (mut frames, mut places, mut others) = (Frames::default(), Vec::new(), Vec::new());
        let (mut seen, mut answers) = (std::collections::HashSet::new(), 0);
        while (seen.len() as u64) < COUNT || answers < COUNT {
            assert_ne!(client.read_buf(frames.buffer()).await.unwrap(), 0, "the connection ended");
            while let Some(frame) = frames.cut() {
                match frame.given() {
                    Some(Given::Delivery { sequence, .. }) => {
                        seen.insert(sequence);
                        places.push(sequence);
                    }
                    _ => {
                        answers += 1;
                        others.extend_from_slice(frame.bytes());
                    }
                }
            }
        }
        (places, others)
    }

    #[tokio::test]
    async fn deliveries_come_twice_and_in_another_order_and_all_else_as_it_was_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shuffler = Shuffler::start(listener.local_addr().unwrap().port(), 1);
        let address = shuffler.url().strip_prefix("nats://").unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        send(&mut server).await;
        let received = tokio::time::timeout(SOON, receive(&mut client)).await;
        let (places, others) = received.expect("everything comes in time");
        let expected: String = (1..=COUNT)
            .map(|number| number.to_string())
            .map(|answer| format!("MSG _INBOX.a 2 {}\r\n{answer}\r\n", answer.len()))
            .collect();
        assert_eq!(String::from_utf8(others).unwrap(), expected);
        for sequence in 1..=COUNT {
            let times = places.iter().filter(|place| **place == sequence).count();
            assert!((1..=2).contains(&times), "{sequence} came {times} times");
        }
        assert!(!places.is_sorted());
        let tally = shuffler.tallies()["S c"];
        assert_eq!(tally.made as u64, COUNT);
        assert!(tally.doubled > 0 && tally.reordered > 0, "{tally:?}");
    }

    #[tokio::test]
    async fn a_server_that_is_away_shows_as_a_connection_that_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let shuffler = Shuffler::start(port, 1);
        let address = shuffler.url().strip_prefix("nats://").unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let read = tokio::time::timeout(SOON, client.read_u8()).await.expect("it ends in time");
        assert!(read.is_err(), "something came");
    }
}
