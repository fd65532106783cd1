//! Looking for secrets where none may be: every spelling in which a text can hide in a file, and the search for it.
//!
//! Written apart from the program's own redaction, so that both would have to forget the same spelling.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use regex::bytes::{Regex, RegexBuilder};

/// Shorter pieces of base64 are found by chance.
const SHORTEST_CORE: usize = 10;
/// What of a file is read at once; a spelling that crosses the border is found by the overlap.
const CHUNK: usize = 8 << 20;

/// The spellings of several secrets.
#[derive(Debug)]
pub struct Needles {
    spellings: Vec<Spelling>,
    pattern: Regex,
    longest: usize,
}

#[derive(Debug)]
struct Spelling {
    bytes: Vec<u8>,
    secret: String,
    form: &'static str,
}

/// A secret where it should not be.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// Which secret, by the name the test gave it.
    pub secret: String,
    /// In which spelling.
    pub form: &'static str,
    /// File, or what else was searched.
    pub place: String,
    /// The bytes around it.
    pub context: String,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) in {}: {}", self.secret, self.form, self.place, self.context)
    }
}

impl Needles {
    /// Every spelling of `secrets`, which are names and texts.
    pub fn of(secrets: &[(&str, &str)]) -> Self {
        let mut spellings: Vec<Spelling> = Vec::new();
        for (name, text) in secrets {
            for (form, bytes) in spell(text) {
                if !bytes.is_empty() && spellings.iter().all(|known| known.bytes != bytes) {
                    spellings.push(Spelling { bytes, secret: (*name).to_owned(), form });
                }
            }
        }
        let alternatives: Vec<String> = spellings.iter().map(|spelling| escape(&spelling.bytes)).collect();
        let pattern = RegexBuilder::new(&alternatives.join("|"))
            .unicode(false)
            .size_limit(64 << 20)
            .build()
            .expect("literals make a pattern");
        let longest = spellings.iter().map(|spelling| spelling.bytes.len()).max().unwrap_or(0);
        Self { spellings, pattern, longest }
    }

    /// What `bytes` of `place` hold.
    pub fn search(&self, place: &str, bytes: &[u8]) -> Vec<Found> {
        self.pattern
            .find_iter(bytes)
            .filter_map(|hit| {
                let spelling = self.spellings.iter().find(|spelling| spelling.bytes == hit.as_bytes())?;
                let (from, to) = (hit.start().saturating_sub(60), (hit.end() + 60).min(bytes.len()));
                Some(Found {
                    secret: spelling.secret.clone(),
                    form: spelling.form,
                    place: format!("{place} at {}", hit.start()),
                    context: String::from_utf8_lossy(&bytes[from..to]).into_owned(),
                })
            })
            .collect()
    }

    /// What a file holds. One that went away meanwhile holds nothing.
    pub fn search_file(&self, path: &Path) -> Vec<Found> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            Err(error) => panic!("read {}: {error}", path.display()),
        };
        let place = path.display().to_string();
        let mut found = self.search(&place, path.as_os_str().as_encoded_bytes());
        let mut from = 0;
        while from < bytes.len() {
            let to = (from + CHUNK + self.longest).min(bytes.len());
            found.extend(self.search(&place, &bytes[from..to]));
            from += CHUNK;
        }
        found
    }

    /// What all files below `directory` hold.
    pub fn search_tree(&self, directory: &Path) -> Vec<Found> {
        files_below(directory).iter().flat_map(|file| self.search_file(file)).collect()
    }
}

/// Every regular file below `directory`, which may lose some meanwhile.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

fn escape(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

type Form = (&'static str, Vec<u8>);

fn spell(secret: &str) -> Vec<Form> {
    let mut all = Vec::new();
    let json = json(secret);
    let texts = [
        ("raw", secret.to_owned()),
        ("JSON in JSON", self::json(&json)),
        ("JSON", json.clone()),
        ("JSON in ASCII", ascii(&json)),
        ("JSON in JSON in ASCII", self::json(&ascii(&json))),
        ("JSON with escaped slashes", json.replace('/', "\\/")),
        ("Python", secret.replace('\\', "\\\\").replace('\'', "\\'")),
        ("YAML single-quoted", secret.replace('\'', "''")),
        ("YAML double-quoted", yaml(&json)),
        ("shell, quote closed and escaped", secret.replace('\'', "'\\''")),
        ("shell, quote in quotes", secret.replace('\'', "'\"'\"'")),
        ("shell, double-quoted", shell_double(secret)),
        ("shell, backslashes", backslashes(secret)),
        ("HTML", html(secret, "&#39;")),
        ("HTML, hexadecimal", html(secret, "&#x27;")),
    ];
    all.extend(texts.map(|(form, text)| (form, text.into_bytes())));
    for keep in ["-._~", "-._~/", "-._~!*'()", "-_.", ""] {
        let escaped = percent(secret, keep);
        all.push(("URL, lower case", lower_hex(&escaped).into_bytes()));
        all.push(("URL, plus for blank", escaped.replace("%20", "+").into_bytes()));
        all.push(("URL", escaped.into_bytes()));
    }
    for quote in ["", "\"", "'"] {
        let quoted = format!("{quote}{secret}{quote}");
        all.extend(encoded(quoted.as_bytes()));
        // A field that is base64 by itself, encoded with the document that holds it.
        all.extend(cores(STANDARD.encode(&quoted).as_bytes()));
    }
    all
}

fn encoded(bytes: &[u8]) -> Vec<Form> {
    let mut all = vec![
        ("hexadecimal", hex::encode(bytes).into_bytes()),
        ("hexadecimal, upper case", hex::encode_upper(bytes).into_bytes()),
        ("base64", STANDARD.encode(bytes).into_bytes()),
        ("base64 without padding", STANDARD_NO_PAD.encode(bytes).into_bytes()),
        ("base64 for URLs", URL_SAFE.encode(bytes).into_bytes()),
        ("base64 for URLs without padding", URL_SAFE_NO_PAD.encode(bytes).into_bytes()),
    ];
    all.extend(cores(bytes));
    all
}

/// What of a longer text's base64 depends on `bytes` alone, for each of the three places where they may begin.
fn cores(bytes: &[u8]) -> Vec<Form> {
    let mut all = Vec::new();
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for offset in 0..3 {
            let shifted: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
            let text = engine.encode(&shifted).into_bytes();
            let (first, last) = ((offset * 8).div_ceil(6), shifted.len() * 8 / 6);
            if last.saturating_sub(first) >= SHORTEST_CORE {
                all.push(("base64 inside a longer text", text[first..last].to_vec()));
            }
        }
    }
    all
}

/// The inside of a JSON string.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn ascii(json: &str) -> String {
    let mut escaped = String::new();
    for character in json.chars() {
        match character.is_ascii() {
            true => escaped.push(character),
            false => {
                let mut units = [0; 2];
                escaped
                    .extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    escaped
}

/// As PyYAML writes a double-quoted text.
fn yaml(json: &str) -> String {
    json.chars()
        .map(|character| match u32::from(character) {
            0..=0x7f => character.to_string(),
            code @ 0x80..=0xff => format!("\\x{code:02X}"),
            code @ 0x100..=0xffff => format!("\\u{code:04X}"),
            code => format!("\\U{code:08X}"),
        })
        .collect()
}

fn shell_double(text: &str) -> String {
    text.chars()
        .flat_map(|character| match character {
            '"' | '\\' | '$' | '`' => vec!['\\', character],
            other => vec![other],
        })
        .collect()
}

/// As `printf %q` writes it.
fn backslashes(text: &str) -> String {
    text.chars()
        .flat_map(|character| match character {
            c if c.is_alphanumeric() || "_-./:=@%+,".contains(c) => vec![c],
            other => vec!['\\', other],
        })
        .collect()
}

fn html(text: &str, apostrophe: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', apostrophe)
}

fn percent(text: &str, keep: &str) -> String {
    text.bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn lower_hex(escaped: &str) -> String {
    let mut parts = escaped.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (code, rest) = part.split_at(part.len().min(2));
        format!("{text}%{}{rest}", code.to_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "!Sys\"ad'min$é/ {{ 7*7 }}";

    #[test]
    fn every_spelling_is_found_in_the_middle_of_something_else() {
        let needles = Needles::of(&[("password", SECRET)]);
        let json = serde_json::json!({"output": format!("it is {SECRET}, yes")}).to_string();
        let places: Vec<Vec<u8>> = vec![
            format!("x{SECRET}x").into_bytes(),
            json.clone().into_bytes(),
            serde_json::json!({ "inner": json }).to_string().into_bytes(),
            STANDARD.encode(format!("admin:{SECRET}")).into_bytes(),
            STANDARD.encode(format!("admin1:{SECRET}!")).into_bytes(),
            URL_SAFE_NO_PAD.encode(format!("admin12:{SECRET}")).into_bytes(),
            STANDARD.encode(STANDARD.encode(SECRET)).into_bytes(),
            hex::encode(format!("a{SECRET}b")).into_bytes(),
            b"?password=%21Sys%22ad%27min%24%C3%A9%2F+%7B%7B+7%2A7+%7D%7D&x".to_vec(),
            b"'!Sys\"ad'\\''min$\xc3\xa9/ {{ 7*7 }}'".to_vec(),
            b"\"!Sys\\\"ad'min$\\xE9/ {{ 7*7 }}\"".to_vec(),
            b"<p>!Sys&quot;ad&#x27;min$\xc3\xa9/ {{ 7*7 }}</p>".to_vec(),
        ];
        for place in places {
            assert!(!needles.search("here", &place).is_empty(), "{}", String::from_utf8_lossy(&place));
        }
        assert_eq!(needles.search("here", b"nothing of the kind"), []);
    }

    #[test]
    fn a_spelling_that_crosses_a_border_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a/large");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        let mut bytes = vec![b'.'; CHUNK - 5];
        bytes.extend_from_slice(SECRET.as_bytes());
        std::fs::write(&file, bytes).unwrap();
        let found = Needles::of(&[("password", SECRET)]).search_tree(directory.path());
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
