//! Takes a run's secrets out of its output, in every spelling and across line ends, before the output reaches a log or
//! an event (design §8).

use std::sync::Arc;

use aho_corasick::AhoCorasick;

use super::line_ends::{Joint, View};
use super::spellings;

const STARS: &[u8] = b"***";
/// Secrets and spellings with fewer characters only count as whole words.
const SHORTEST_FREE: usize = 4;
/// A line is waited for up to this length; what is longer is taken in pieces.
const LONGEST_LINE: usize = 64 * 1024;
/// Text that might begin a secret is held back up to this length.
const LONGEST_HELD: usize = 256 * 1024;

/// Replaces a run's secrets with `***`. Cheap to clone. Its `Debug` form says nothing about them.
#[derive(Clone)]
pub struct Redactor {
    lenses: Arc<[Lens]>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// A redactor for `secrets` (raw, not encoded; empty ones are skipped). Each is found raw, wrapped in quotes as in
    /// subclouds.md §1.4, base64 (all alphabets, also within a longer encoded text), hexadecimal, and escaped as JSON,
    /// Python, YAML, shells and URLs do, also when line ends were put into it. Secrets shorter than four characters
    /// are replaced where they stand as whole words.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut spelled: Vec<Spelling> = secrets.into_iter().flat_map(Spelling::all_of).collect();
        spelled.sort_unstable();
        spelled.dedup();
        Self { lenses: Joint::ALL.iter().map(|joint| Lens::new(*joint, &spelled)).collect() }
    }

    /// Redacts a whole text.
    pub fn redact(&self, text: &str) -> String {
        let mut stream = self.stream();
        let mut shown = stream.push(text.as_bytes());
        shown.extend(stream.finish());
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// Redacts text that comes in pieces.
    pub fn stream(&self) -> RedactStream {
        RedactStream { redactor: self.clone(), held: Vec::new(), before: None }
    }

    /// The parts of `text` that are secret, in order, none touching another.
    fn secret_spans(&self, text: &[u8], before: Option<u8>) -> Vec<(usize, usize)> {
        let mut spans: Vec<(usize, usize)> =
            self.lenses.iter().flat_map(|lens| lens.spans(text, before)).collect();
        spans.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (start, end) in spans {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }

    /// Where the end of `text` might be the beginning of a secret; its length if nowhere.
    fn open_from(&self, text: &[u8]) -> usize {
        self.lenses.iter().map(|lens| lens.open_from(text)).min().unwrap_or(text.len())
    }
}

/// Redacts a stream of output. Gives back whole lines as they come, but for what might be the beginning of a secret
/// that goes on in the next one.
#[derive(Debug)]
pub struct RedactStream {
    redactor: Redactor,
    held: Vec<u8>,
    /// The byte before `held`.
    before: Option<u8>,
}

impl RedactStream {
    /// Takes more output and returns, redacted, what can be shown by now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let complete = match self.held.iter().rposition(|byte| *byte == b'\n') {
            Some(line_end) if self.held.len() - line_end <= LONGEST_LINE => line_end + 1,
            None if self.held.len() <= LONGEST_LINE => return Vec::new(),
            _ => self.held.len(),
        };
        self.release(complete, false)
    }

    /// Returns the rest, redacted.
    pub fn finish(mut self) -> Vec<u8> {
        self.release(self.held.len(), true)
    }

    fn release(&mut self, complete: usize, last: bool) -> Vec<u8> {
        let Some(text) = self.held.get(..complete) else { return Vec::new() };
        let spans = self.redactor.secret_spans(text, self.before);
        let mut until = text.len();
        if !last && text.len() <= LONGEST_HELD {
            until = self.redactor.open_from(text);
            // A secret whose end may begin another one is shown with it.
            if let Some((start, _)) = spans.iter().find(|(start, end)| *start < until && until < *end) {
                until = *start;
            }
        }
        let shown = replace(text, &spans, until);
        self.before = until.checked_sub(1).and_then(|index| text.get(index).copied()).or(self.before);
        self.held.drain(..until);
        shown
    }
}

/// `text` up to `until`, with stars for `spans`.
fn replace(text: &[u8], spans: &[(usize, usize)], until: usize) -> Vec<u8> {
    let mut shown = Vec::with_capacity(until);
    let mut from = 0;
    for (start, end) in spans.iter().take_while(|(start, _)| *start < until) {
        shown.extend_from_slice(text.get(from..*start).unwrap_or_default());
        shown.extend_from_slice(STARS);
        from = *end;
    }
    shown.extend_from_slice(text.get(from..until).unwrap_or_default());
    shown
}

/// One way in which one secret may be written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Spelling {
    bytes: Vec<u8>,
    whole_word: bool,
}

impl Spelling {
    fn all_of(secret: &str) -> Vec<Self> {
        let short = secret.chars().count() < SHORTEST_FREE;
        spellings::of(secret)
            .into_iter()
            .map(|bytes| Self { whole_word: short || bytes.len() < SHORTEST_FREE, bytes })
            .collect()
    }
}

/// Looks for spellings in text whose line ends are read in one way.
struct Lens {
    joint: Joint,
    spellings: Vec<Spelling>,
    /// `None` if the spellings are too many for its tables (gigabytes of them): then everything is held for secret.
    finder: Option<AhoCorasick>,
}

impl Lens {
    fn new(joint: Joint, spelled: &[Spelling]) -> Self {
        let mut spellings: Vec<Spelling> = spelled
            .iter()
            .map(|spelling| Spelling { bytes: View::of(&spelling.bytes, joint).bytes, ..*spelling })
            .filter(|spelling| !spelling.bytes.is_empty())
            .collect();
        spellings.sort_unstable();
        spellings.dedup();
        let finder = AhoCorasick::new(spellings.iter().map(|spelling| &spelling.bytes)).ok();
        Self { joint, spellings, finder }
    }

    fn spans(&self, text: &[u8], before: Option<u8>) -> Vec<(usize, usize)> {
        let Some(finder) = &self.finder else { return vec![(0, text.len())] };
        let view = View::of(text, self.joint);
        finder
            .find_overlapping_iter(&view.bytes)
            .filter(|found| {
                let whole_word = self
                    .spellings
                    .get(found.pattern().as_usize())
                    .is_some_and(|spelling| spelling.whole_word);
                !whole_word || view.is_word(found.start(), found.end(), before)
            })
            .filter_map(|found| {
                Some((view.origin_of(found.start())?, view.origin_of(found.end().checked_sub(1)?)? + 1))
            })
            .collect()
    }

    fn open_from(&self, text: &[u8]) -> usize {
        let view = View::of(text, self.joint);
        let open = self
            .spellings
            .iter()
            .map(|spelling| longest_beginning_at_end(&view.bytes, &spelling.bytes))
            .max()
            .unwrap_or_default();
        if open == 0 { text.len() } else { view.origin_of(view.bytes.len() - open).unwrap_or(text.len()) }
    }
}

/// Length of the longest proper beginning of `spelling` with which `text` ends.
fn longest_beginning_at_end(text: &[u8], spelling: &[u8]) -> usize {
    let longest = spelling.len().saturating_sub(1).min(text.len());
    (1..=longest)
        .rev()
        .find(|length| spelling.get(..*length).is_some_and(|beginning| text.ends_with(beginning)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

    use super::{LONGEST_HELD, LONGEST_LINE, Redactor};

    const PASSWORD: &str = "Li69nux*/\"é\\?>~x";

    fn assert_hidden(secret: &str, spelled: &str) {
        let redactor = Redactor::new([secret]);
        assert_eq!(redactor.redact(&format!("before {spelled} after\n")), "before *** after\n", "{spelled}");
    }

    #[test]
    fn hides_every_spelling() {
        assert_hidden(PASSWORD, PASSWORD);
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            assert_hidden(PASSWORD, &engine.encode(PASSWORD));
            assert_hidden("abcde", &engine.encode("abcde"));
            assert_hidden("abcde", &engine.encode("\"abcde\""));
        }
        assert_hidden(PASSWORD, &hex::encode(PASSWORD));
        assert_hidden(PASSWORD, &hex::encode_upper(PASSWORD));
        for escaped in [
            // JSON, with and without characters outside ASCII; twice; Python; YAML, single and double quoted; shell.
            r#"Li69nux*/\"é\\?>~x"#,
            r#"Li69nux*/\"\u00e9\\?>~x"#,
            r#"Li69nux*/\\\"é\\\\?>~x"#,
            r#"Li69nux*/"é\\?>~x"#,
            r#"Li69nux*/\"\xE9\\?>~x"#,
            r#"Li69nux*/\"é\?>~x"#,
            // URLs: strict, RFC 3986, path, component, lower case.
            "Li69nux%2A%2F%22%C3%A9%5C%3F%3E%7Ex",
            "Li69nux%2A%2F%22%C3%A9%5C%3F%3E~x",
            "Li69nux%2A/%22%C3%A9%5C%3F%3E~x",
            "Li69nux*%2F%22%C3%A9%5C%3F%3E~x",
            "Li69nux%2a%2f%22%c3%a9%5c%3f%3e~x",
        ] {
            assert_hidden(PASSWORD, escaped);
        }
        for quoted in ["it''s a Secret", "it'\\''s a Secret", "it'\"'\"'s a Secret", "it%27s+a+Secret"] {
            assert_hidden("it's a Secret", quoted);
        }
    }

    #[test]
    fn hides_a_password_given_in_quotes_and_printed_without() {
        let redactor = Redactor::new(["\"*Secret1\"", "'\"Second2'"]);
        assert_eq!(redactor.redact("a *Secret1 b \"*Secret1\" c \"Second2\n"), "a *** b *** c ***\n");
        assert_eq!(Redactor::new(["*Secret1"]).redact("pass: '*Secret1'"), "pass: '***'");
    }

    #[test]
    fn hides_a_password_inside_a_longer_base64_text() {
        for user in ["u", "us", "use"] {
            let token = STANDARD.encode(format!("{user}:Li69nux*and-more:tail"));
            let shown = Redactor::new(["Li69nux*and-more"]).redact(&token);
            assert!(shown.contains("***"), "{shown}");
            let left: String = shown.split("***").collect();
            assert!(left.len() <= token.len() - 18, "{token} {shown}");
        }
    }

    #[test]
    fn hides_a_secret_across_line_ends() {
        let redactor = Redactor::new(["correct horse battery", "Li69nux*"]);
        for text in [
            "correct\nhorse battery",
            "correct horse  \r\n    battery",
            "corr\n  ect horse battery",
            "Li69\nnux*",
            "Li69\\\n    nux*",
            "correct\\\n  \\ horse battery",
        ] {
            assert_eq!(redactor.redact(&format!("<{text}>\n")), "<***>\n", "{text:?}");
        }
        // An empty line is not read over.
        assert_eq!(redactor.redact("Li69\n\nnux*\n"), "Li69\n\nnux*\n");
    }

    #[test]
    fn hides_the_lines_of_a_secret_document() {
        let redactor = Redactor::new(["---\nadmin: hunter2hunter2\nshort\n"]);
        assert_eq!(redactor.redact("---\nshort\n> admin: hunter2hunter2 <\n"), "---\nshort\n> *** <\n");
    }

    #[test]
    fn a_short_secret_is_hidden_as_a_word() {
        let redactor = Redactor::new(["ab", "", "ü"]);
        assert_eq!(
            redactor.redact("ab cab abc 'ab' ab\nab,616 6162 YWI= ü üb\n"),
            "*** cab abc '***' ***\n***,616 *** *** *** üb\n"
        );
    }

    #[test]
    fn overlapping_secrets_leave_nothing() {
        let redactor = Redactor::new(["abcd", "cdefgh", "hhhh"]);
        assert_eq!(redactor.redact("-abcdefgh- abcd abcdefghhhh\n"), "-***- *** ***\n");
    }

    #[test]
    fn without_secrets_nothing_changes_and_nothing_is_held() {
        let mut stream = Redactor::new([""]).stream();
        assert_eq!(stream.push(b"one\ntw"), b"one\n");
        assert_eq!(stream.push(b"o\n\xff\n"), b"two\n\xff\n");
        assert_eq!(stream.push(b"end"), b"");
        assert_eq!(stream.finish(), b"end");
    }

    #[test]
    fn a_stream_cut_anywhere_shows_the_same() {
        let redactor = Redactor::new(["correct horse battery", "Li69nux*", "ababab", "xy"]);
        let text =
            "a correct\n horse\nb Li69nux* Li69\nnux*!\nabababab ababab\nxy\nxyz correct horse\nxy battery";
        let whole = redactor.redact(text);
        assert_eq!(whole, "a correct\n horse\nb *** ***!\n*** ***\n***\nxyz correct horse\n*** battery");
        for size in 1..text.len() {
            let mut stream = redactor.stream();
            let mut shown: Vec<u8> = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                shown.extend(stream.push(piece));
            }
            shown.extend(stream.finish());
            assert_eq!(String::from_utf8(shown).unwrap(), whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_line_is_shown_when_it_is_complete() {
        let mut stream = Redactor::new(["Li69nux*"]).stream();
        assert_eq!(stream.push(b"TASK [one]\nok"), b"TASK [one]\n");
        assert_eq!(stream.push(b": [a]\nL"), b"ok: [a]\n");
        assert_eq!(stream.push(b"i6\n"), b"");
        assert_eq!(stream.push(b"done\n"), b"Li6\ndone\n");
    }

    #[test]
    fn endless_lines_and_endless_beginnings_are_bounded() {
        let redactor = Redactor::new(["Li69nux*", &"ab".repeat(8)]);
        let mut stream = redactor.stream();
        let mut shown = Vec::new();
        let line = "y".repeat(LONGEST_LINE - 3) + "Li69";
        shown.extend(stream.push(line.as_bytes()));
        shown.extend(stream.push(b"nux* and on"));
        assert!(stream.held.len() < 100 && !shown.is_empty());
        for _ in 0..20 {
            shown.extend(stream.push("ab".repeat(LONGEST_LINE / 4).as_bytes()));
            assert!(stream.held.len() <= LONGEST_HELD + LONGEST_LINE);
        }
        shown.extend(stream.finish());
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.starts_with("yyy") && shown.contains("*** and on"));
        assert!(!shown.contains("Li69") && !shown.contains("abab"));
        // Blanks without end take no time beyond their number.
        assert_eq!(redactor.redact(&" ".repeat(4 * LONGEST_LINE)).len(), 4 * LONGEST_LINE);
    }

    #[test]
    fn its_debug_form_says_nothing() {
        assert_eq!(format!("{:?}", Redactor::new(["Li69nux*"])), "Redactor");
    }
}
