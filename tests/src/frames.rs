//! What a NATS server sends to its clients, frame by frame.

use bytes::{Bytes, BytesMut};
use serde_json::Value;

/// How much is read at once.
const READ: usize = 16 * 1024;
/// What every answer to a delivery begins with.
const ANSWER: &str = "$JS.ACK.";
/// What the nudges between processes begin with (`dcm.v1.signal.appended`).
const NUDGE: &str = "dcm.v1.signal.";
/// Where a server names the others of its cluster, to which a client would turn.
const OTHERS: [&str; 2] = ["connect_urls", "ws_connect_urls"];

/// Cuts what was read into frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    read: BytesMut,
}

/// One frame, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    bytes: Bytes,
    /// Length of its first line, the end of the line included.
    line: usize,
}

/// What a consumer is given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// A message of a stream, which its consumer answers.
    Delivery {
        /// The stream.
        stream: String,
        /// The consumer's name on the server.
        consumer: String,
        /// Its place in the stream.
        sequence: u64,
    },
    /// A nudge on this subject, which nobody answers and the server does not keep.
    Nudge(String),
}

impl Frames {
    /// Where what is read next belongs.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        self.read.reserve(READ);
        &mut self.read
    }

    /// The next frame, once it is whole.
    pub(crate) fn cut(&mut self) -> Option<Frame> {
        let line = self.read.windows(2).position(|two| two == b"\r\n")? + 2;
        let length = line + body(&self.read[..line]);
        (self.read.len() >= length).then(|| Frame { bytes: self.read.split_to(length).freeze(), line })
    }
}

/// How much follows the first line of a frame.
fn body(line: &[u8]) -> usize {
    let mut words = words(line);
    match words.next() {
        Some("MSG" | "HMSG") => {
            let size = words.next_back().and_then(|size| size.parse::<usize>().ok());
            size.expect("a message's frame ends its line with a size") + 2
        }
        _ => 0,
    }
}

fn words(line: &[u8]) -> std::str::SplitAsciiWhitespace<'_> {
    std::str::from_utf8(line).unwrap_or_default().split_ascii_whitespace()
}

impl Frame {
    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a consumer is given with it, if it is for one; answers to requests, among them those to a publish, are not.
    pub(crate) fn given(&self) -> Option<Given> {
        let words: Vec<&str> = words(&self.bytes[..self.line]).collect();
        // MSG subject subscription [answer] size, and HMSG with the size of the headers before the whole.
        match words.as_slice() {
            ["MSG", _, _, answer, _] | ["HMSG", _, _, answer, _, _] => delivery(answer),
            ["MSG", subject, ..] | ["HMSG", subject, ..] if subject.starts_with(NUDGE) => {
                Some(Given::Nudge((*subject).to_owned()))
            }
            _ => None,
        }
    }

    /// The same, but where it tells of other servers.
    pub(crate) fn without_other_servers(self) -> Self {
        let Some(text) = self.bytes.strip_prefix(b"INFO ") else { return self };
        let Ok(Value::Object(mut info)) = serde_json::from_slice::<Value>(text) else { return self };
        let known = info.len();
        info.retain(|key, _| !OTHERS.contains(&key.as_str()));
        if info.len() == known {
            return self;
        }
        let bytes = Bytes::from(format!("INFO {}\r\n", Value::Object(info)));
        Self { line: bytes.len(), bytes }
    }
}

/// `$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.…`, before which newer servers name domain and account.
fn delivery(answer: &str) -> Option<Given> {
    let rest: Vec<&str> = answer.strip_prefix(ANSWER)?.split('.').collect();
    let place = match rest.len() {
        7 => rest.as_slice(),
        9.. => &rest[2..],
        _ => return None,
    };
    let [stream, consumer, _, sequence, ..] = place else { return None };
    Some(Given::Delivery {
        stream: (*stream).to_owned(),
        consumer: (*consumer).to_owned(),
        sequence: sequence.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(parts: &[&[u8]]) -> Vec<Frame> {
        let mut frames = Frames::default();
        let mut all = Vec::new();
        for part in parts {
            frames.buffer().extend_from_slice(part);
            all.extend(std::iter::from_fn(|| frames.cut()));
        }
        assert!(frames.read.is_empty(), "{:?} is left", frames.read);
        all
    }

    fn delivered(sequence: u64) -> Option<Given> {
        Some(Given::Delivery { stream: "S".to_owned(), consumer: "c".to_owned(), sequence })
    }

    #[test]
    fn frames_are_cut_wherever_the_parts_end() {
        let all =
            b"PING\r\nMSG a.b 1 5\r\n1\r\n45\r\nHMSG a.b 2 _INBOX.x 12 14\r\nNATS/1.0\r\n\r\nhi\r\n+OK\r\n";
        let whole = cut(&[all]);
        let lengths: Vec<usize> = whole.iter().map(|frame| frame.bytes().len()).collect();
        assert_eq!(lengths, [6, 20, 43, 5]);
        for at in 1..all.len() {
            assert_eq!(cut(&[&all[..at], &all[at..]]), whole);
        }
    }

    #[test]
    fn what_a_consumer_is_given_is_told_from_all_else() {
        let given = |text: &str| cut(&[text.as_bytes()]).pop().expect("a frame").given();
        assert_eq!(given("MSG a 1 $JS.ACK.S.c.1.7.3.1796067867422383349.0 1\r\nx\r\n"), delivered(7));
        assert_eq!(given("MSG a 1 $JS.ACK.hub.Acc.S.c.2.8.4.17.0 1\r\nx\r\n"), delivered(8));
        assert_eq!(given("HMSG a 1 $JS.ACK.S.c.1.9.5.17.0 12 13\r\nNATS/1.0\r\n\r\nx\r\n"), delivered(9));
        let nudge = Given::Nudge("dcm.v1.signal.appended".to_owned());
        assert_eq!(given("MSG dcm.v1.signal.appended 4 2\r\nhi\r\n"), Some(nudge));
        for other in ["PONG\r\n", "MSG _INBOX.a.b 1 2\r\n{}\r\n", "MSG a 1 _INBOX.c 2\r\n{}\r\n"] {
            assert_eq!(given(other), None, "{other}");
        }
    }

    #[test]
    fn other_servers_are_not_told_of() {
        let text = b"INFO {\"version\":\"2.15.1\",\"connect_urls\":[\"127.0.0.1:1\"],\"port\":2} \r\n";
        let told = cut(&[text]).remove(0).without_other_servers();
        assert_eq!(told.bytes(), b"INFO {\"version\":\"2.15.1\",\"port\":2}\r\n");
        let text = b"INFO {\"port\":2} \r\n";
        assert_eq!(cut(&[text]).remove(0).without_other_servers().bytes(), text);
    }
}
