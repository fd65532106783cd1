//! Subjects and filters as NATS defines them: tokens joined by dots, `*` for one token, `>` for one or more at
//! the end. Both adapters and the checks before them share this one reading.

/// Whether `subject` can be published to: non-empty ASCII tokens without wildcards, spaces or control characters.
pub fn is_literal(subject: &str) -> bool {
    subject.split('.').all(|token| is_plain(token) && token != "*" && token != ">")
}

/// Whether `filter` is well formed: literal tokens, `*`, and `>` only as the last token.
pub fn is_filter(filter: &str) -> bool {
    let mut tokens = filter.split('.').peekable();
    while let Some(token) = tokens.next() {
        if !is_plain(token) || (token == ">" && tokens.peek().is_some()) {
            return false;
        }
    }
    true
}

/// Whether every subject that matches `inner` (a filter or a literal subject) also matches `outer`.
pub fn covers(outer: &str, inner: &str) -> bool {
    let (mut outer, mut inner) = (outer.split('.'), inner.split('.'));
    loop {
        match (outer.next(), inner.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

/// Whether some subject matches both filters.
pub fn overlap(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

fn is_plain(token: &str) -> bool {
    !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_subjects_have_no_wildcards_or_empty_tokens() {
        assert!(is_literal("dcm.v1.event.subcloud.r-1.subcloud-added"));
        for bad in ["", "a..b", ".a", "a.", "a.*", "a.>", "a b", "a.\u{e9}", "a\r\nb"] {
            assert!(!is_literal(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_full_wildcard_ends_a_filter() {
        assert!(is_filter("a.*.c") && is_filter("a.>"));
        assert!(!is_filter("a.>.c") && !is_filter("a..c") && !is_filter(""));
    }

    #[test]
    fn covers_follows_the_wildcards() {
        assert!(covers("a.>", "a.b.c") && covers("a.*.c", "a.b.c") && covers("a.>", "a.*.c"));
        assert!(!covers("a.>", "a") && !covers("a.*", "a.b.c") && !covers("a.*", "a.>"));
        assert!(!covers("a.b.c", "a.b"));
    }

    #[test]
    fn overlap_is_symmetric() {
        for (a, b, expected) in
            [("a.*.c", "a.b.*", true), ("a.>", "a.b", true), ("a.b", "a.c", false), ("a.>", "a", false)]
        {
            assert_eq!(overlap(a, b), expected, "{a} {b}");
            assert_eq!(overlap(b, a), expected, "{b} {a}");
        }
    }
}
