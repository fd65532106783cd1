//! What a client's `Accept` means for answers and for errors (access.md §8, §9).

use http::{HeaderMap, HeaderValue, header};

use super::error::ApiError;

/// Weight in thousandths, as `q` has at most three decimals.
type Weight = u16;
const FULL: Weight = 1000;

/// A parsed `Accept`: media ranges with their weights; none if the header is absent or empty.
///
/// Parameters other than `q` are ignored. A malformed header says nothing reliable and counts as `*/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept(Vec<Range>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    /// `None` is `*`.
    main: Option<String>,
    /// `None` is `*`.
    sub: Option<String>,
    weight: Weight,
}

/// The form an error is rendered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorForm {
    /// `{"code", "title", "description"}`.
    Json,
    /// `{"message", "code", "title"}`, for JSON that text outweighs while HTML is not acceptable.
    LibraryJson,
    /// The page whose text the command-line client prints.
    Html,
    /// `NNN Reason`, explanation and detail as text.
    Plain,
}

impl Accept {
    /// Reads every `Accept` header of `headers` as one list.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        Self::from_values(headers.get_all(header::ACCEPT))
    }

    /// Reads the values of `Accept` headers as one list.
    pub fn from_values<'v>(values: impl IntoIterator<Item = &'v HeaderValue>) -> Self {
        let mut ranges = Vec::new();
        for value in values {
            match value.to_str().ok().and_then(ranges_of) {
                Some(more) => ranges.extend(more),
                None => return Self(vec![Range { main: None, sub: None, weight: FULL }]),
            }
        }
        Self(ranges)
    }

    /// Whether a JSON answer is acceptable; an absent header accepts everything.
    pub fn takes_json(&self) -> bool {
        self.0.is_empty() || self.weight("application", "json") > 0
    }

    /// Refuses a client that does not take JSON: after the path is known and before authentication (access.md §2).
    ///
    /// # Errors
    /// 406.
    pub fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
        match Self::from_headers(headers).takes_json() {
            true => Ok(()),
            false => Err(ApiError::not_acceptable()),
        }
    }

    /// The form for an error: JSON only if it wins strictly or alone, then HTML if acceptable, else text (access.md §9).
    pub fn error_form(&self) -> ErrorForm {
        let json = self.weight("application", "json");
        let html = self.weight("text", "html");
        let plain = self.weight("text", "plain");
        match () {
            () if json > html && json > plain => ErrorForm::Json,
            () if html > 0 => ErrorForm::Html,
            () if json > 0 => ErrorForm::LibraryJson,
            () => ErrorForm::Plain,
        }
    }

    /// The weight the most specific matching range gives to a media type; 0 if none matches.
    fn weight(&self, main: &str, sub: &str) -> Weight {
        self.0.iter().filter_map(|range| range.matches(main, sub)).max().map_or(0, |(_, weight)| weight)
    }
}

impl Range {
    /// How specifically this range matches (2 exact, 1 `type/*`, 0 `*/*`) and its weight.
    fn matches(&self, main: &str, sub: &str) -> Option<(u8, Weight)> {
        match (self.main.as_deref(), self.sub.as_deref()) {
            (None, _) => Some((0, self.weight)),
            (Some(m), None) => m.eq_ignore_ascii_case(main).then_some((1, self.weight)),
            (Some(m), Some(s)) => {
                (m.eq_ignore_ascii_case(main) && s.eq_ignore_ascii_case(sub)).then_some((2, self.weight))
            }
        }
    }
}

/// The ranges of one header value (RFC 9110 §12.5.1); `None` if malformed. Empty list elements are allowed.
fn ranges_of(value: &str) -> Option<Vec<Range>> {
    split_unquoted(value, b',')?.into_iter().map(trim).filter(|part| !part.is_empty()).map(range_of).collect()
}

fn range_of(text: &str) -> Option<Range> {
    let mut parts = split_unquoted(text, b';')?.into_iter().map(trim);
    let (main, sub) = parts.next()?.split_once('/')?;
    let mut weight = FULL;
    for parameter in parts.filter(|part| !part.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        if !is_token(name) || !(is_token(value) || is_quoted(value)) {
            return None;
        }
        if name.eq_ignore_ascii_case("q") {
            weight = weight_of(value)?;
        }
    }
    match (main, sub) {
        ("*", "*") => Some(Range { main: None, sub: None, weight }),
        ("*", _) => None,
        (main, _) if !is_token(main) => None,
        (main, "*") => Some(Range { main: Some(main.to_owned()), sub: None, weight }),
        (main, sub) => {
            is_token(sub).then(|| Range { main: Some(main.to_owned()), sub: Some(sub.to_owned()), weight })
        }
    }
}

/// `0`, `0.5`, `1`, `1.000`: at most three decimals and never above one.
fn weight_of(text: &str) -> Option<Weight> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: Weight = format!("{whole}{decimals:0<3}").parse().ok()?;
    (thousandths <= FULL).then_some(thousandths)
}

/// Splits at `separator` outside double quotes; `None` if a quote is left open.
fn split_unquoted(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(text.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn is_quoted(text: &str) -> bool {
    text.len() >= 2 && text.starts_with('"') && text.ends_with('"')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn accept(value: &str) -> Accept {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        Accept::from_headers(&headers)
    }

    #[test]
    fn the_table_of_access_8() {
        use ErrorForm::{Html, Json, LibraryJson, Plain};
        for (value, takes_json, form) in [
            ("", true, Plain),
            ("*/*", true, Html),
            ("application/json", true, Json),
            ("application/json, */*;q=0.5", true, Json),
            ("application/*", true, Json),
            ("application/json, text/plain, */*", true, Html),
            ("application/json, text/html", true, Html),
            ("text/html, application/json", true, Html),
            ("application/json;q=0.9, text/plain;q=0.5", true, Json),
            ("application/json, text/html;q=0.5", true, Json),
            ("application/json, text/plain", true, LibraryJson),
            ("application/json;q=0.4, text/plain;q=0.5", true, LibraryJson),
            ("text/html", false, Html),
            ("text/plain", false, Plain),
            ("text/*", false, Html),
            ("application/xml", false, Plain),
        ] {
            let parsed = accept(value);
            assert_eq!((parsed.takes_json(), parsed.error_form()), (takes_json, form), "{value}");
        }
        assert_eq!(Accept::from_headers(&HeaderMap::new()), accept(""));
    }

    #[test]
    fn the_most_specific_range_decides() {
        assert!(!accept("*/*, application/json;q=0").takes_json());
        assert!(accept("application/*;q=0, application/json").takes_json());
        assert!(!accept("application/json;q=0.000").takes_json());
        assert!(accept("Application/JSON; charset=\"utf-8,;\" ; Q=0.001").takes_json());
        assert!(accept(" , application/json ,, text/x").takes_json());
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, HeaderValue::from_static("text/html;q=0.1"));
        headers.append(header::ACCEPT, HeaderValue::from_static("application/json"));
        assert_eq!(Accept::from_headers(&headers).error_form(), ErrorForm::Json);
    }

    #[test]
    fn malformed_counts_as_anything() {
        for value in [
            "json",
            "/",
            "*/json",
            "a/b/c",
            "text/html;q=2",
            "text/html;q=1.001",
            "text/html;q=0.1234",
            "text/html;q",
            "text/html;q=-1",
            "text/html;x=\"open",
            "te xt/html",
            "text/html;=1",
        ] {
            assert_eq!(accept(value), accept("*/*"), "{value}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_bytes(b"text/\xff").unwrap());
        assert_eq!(Accept::from_headers(&headers), accept("*/*"));
    }

    proptest! {
        #[test]
        fn any_header_value_gets_some_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.insert(header::ACCEPT, value);
                let parsed = Accept::from_headers(&headers);
                let _ = (parsed.takes_json(), parsed.error_form());
            }
        }

        #[test]
        fn anything_that_looks_like_accept_gets_some_answer(value in "[a-z*/;=q0-9., \"\\\\-]{0,80}") {
            let parsed = accept(&value);
            let _ = (parsed.takes_json(), parsed.error_form());
        }
    }
}
