//! The ways in which a secret may stand in a program's output.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Kept as they are by encoders that follow RFC 3986.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// As encoders of paths do.
const PATH: AsciiSet = UNRESERVED.remove(b'/');
/// As `encodeURIComponent` does.
const COMPONENT: AsciiSet = UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');

/// Shorter pieces of a longer base64 text would hide too much that is no secret.
const SHORTEST_BASE64_CORE: usize = 8;
/// Lines of a secret document that are shorter (`---`, `}`) say nothing.
const SHORTEST_LINE: usize = 8;

/// Every spelling of `secret` that is looked for: raw, wrapped in quotes or freed from them (subclouds.md §1.4),
/// base64, hexadecimal, and escaped as JSON, Python, YAML, shell and URLs do; of a document also each line.
pub(super) fn of(secret: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for text in bases(secret) {
        all.extend(escaped(&text));
        all.extend(encoded(text.as_bytes()));
        for quoted in [format!("\"{text}\""), format!("'{text}'")] {
            all.extend(base64(quoted.as_bytes()));
        }
    }
    if secret.contains('\n') {
        for line in secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE) {
            all.extend(escaped(line));
        }
    }
    all.retain(|spelling| !spelling.is_empty());
    all.sort_unstable();
    all.dedup();
    all
}

/// The secret, without surrounding blanks, and without the quotes that a password may have been given.
fn bases(secret: &str) -> Vec<String> {
    let mut bases = vec![secret.to_owned(), secret.trim().to_owned()];
    for quote in ['"', '\''] {
        if let Some(inner) = secret.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            bases.push(inner.to_owned());
        }
    }
    bases.retain(|base| !base.is_empty());
    bases.dedup();
    bases
}

fn escaped(text: &str) -> Vec<Vec<u8>> {
    let json = json(text);
    let ascii = ascii_json(text);
    [
        text.to_owned(),
        // JSON inside JSON, as in a registered result that a task prints.
        self::json(&json),
        self::json(&ascii),
        json.replace('/', "\\/"),
        json,
        ascii,
        python(text),
        yaml(text),
        text.replace('\'', "''"),
        text.replace('\'', "'\\''"),
        text.replace('\'', "'\"'\"'"),
        text.replace('"', "\\\""),
    ]
    .map(String::into_bytes)
    .into()
}

fn encoded(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = base64(bytes);
    all.extend(base64_cores(bytes));
    all.push(hex::encode(bytes).into_bytes());
    all.push(hex::encode_upper(bytes).into_bytes());
    if let Ok(text) = std::str::from_utf8(bytes) {
        all.extend(percent(text));
    }
    all
}

fn base64(bytes: &[u8]) -> Vec<Vec<u8>> {
    [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD]
        .map(|engine| engine.encode(bytes).into_bytes())
        .into()
}

/// What of a longer text's base64 is determined by `bytes` alone, for each place at which they may begin: how a
/// password looks inside `user:password` or an encoded document.
fn base64_cores(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut cores = Vec::new();
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for offset in 0..3_usize {
            let mut shifted = vec![0; offset];
            shifted.extend_from_slice(bytes);
            let text = engine.encode(&shifted);
            // A character holds six bits; the first and last may hold bits of the neighbours.
            let first = (offset * 8).div_ceil(6);
            let last = shifted.len() * 8 / 6;
            if let Some(core) = text.as_bytes().get(first..last)
                && core.len() >= SHORTEST_BASE64_CORE
            {
                cores.push(core.to_vec());
            }
        }
    }
    cores
}

fn percent(text: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for set in [NON_ALPHANUMERIC, &UNRESERVED, &PATH, &COMPONENT] {
        let upper = utf8_percent_encode(text, set).to_string();
        all.push(lower_hex(&upper).into_bytes());
        all.push(upper.replace("%20", "+").into_bytes());
        all.push(lower_hex(&upper).replace("%20", "+").into_bytes());
        all.push(upper.into_bytes());
    }
    all
}

/// `%2F` as `%2f`.
fn lower_hex(text: &str) -> String {
    let mut digits = 0;
    text.chars()
        .map(|character| {
            if character == '%' {
                digits = 2;
                return character;
            }
            if digits > 0 {
                digits -= 1;
                return character.to_ascii_lowercase();
            }
            character
        })
        .collect()
}

/// The inside of the JSON string of `text`.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}

/// As [`json`], with everything but ASCII as `\uXXXX`.
fn ascii_json(text: &str) -> String {
    let mut escaped = String::new();
    for character in json(text).chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

/// The inside of Python's `repr` of `text` when it must escape.
fn python(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The inside of a double-quoted YAML string of `text`, as PyYAML writes it.
fn yaml(text: &str) -> String {
    let mut escaped = String::new();
    for character in json(text).chars() {
        match u32::from(character) {
            0..=0x7f => escaped.push(character),
            code @ 0x80..=0xff => escaped.push_str(&format!("\\x{code:02X}")),
            code @ 0x100..=0xffff => escaped.push_str(&format!("\\u{code:04X}")),
            code => escaped.push_str(&format!("\\U{code:08X}")),
        }
    }
    escaped
}
