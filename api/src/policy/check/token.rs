//! Words of the text form.

use super::Check;
use super::parser::check;

/// A word, or a parenthesis at the edge of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Check(Check),
    /// A word in quotes, which has no meaning of its own.
    Quoted,
}

/// The words of `text`, in order. Parentheses count only at the edges of a word: `role:a(b)` holds one.
/// What is wrong with single checks goes to `remarks`.
pub(super) fn tokens(text: &str, remarks: &mut Vec<String>) -> Vec<Token> {
    let mut tokens = Vec::new();
    for word in text.split(is_blank).filter(|word| !word.is_empty()) {
        let opened = word.trim_start_matches('(');
        tokens.extend(std::iter::repeat_n(Token::Open, word.len() - opened.len()));
        let bare = opened.trim_end_matches(')');
        if let Some(token) = token(opened, bare, remarks) {
            tokens.push(token);
        }
        tokens.extend(std::iter::repeat_n(Token::Close, opened.len() - bare.len()));
    }
    tokens
}

/// The word without its parentheses; whether it is quoted is seen before those at its end are taken off.
fn token(opened: &str, bare: &str, remarks: &mut Vec<String>) -> Option<Token> {
    if bare.is_empty() {
        return None;
    }
    let word = |known: &str| bare.eq_ignore_ascii_case(known);
    Some(match () {
        () if word("and") => Token::And,
        () if word("or") => Token::Or,
        () if word("not") => Token::Not,
        () if is_quoted(opened) => Token::Quoted,
        () => Token::Check(check(bare, remarks)),
    })
}

fn is_quoted(word: &str) -> bool {
    ['"', '\''].iter().any(|quote| word.len() >= 2 && word.starts_with(*quote) && word.ends_with(*quote))
}

/// Blanks as Python counts them: those of Unicode and the four separators of ASCII.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Token> {
        tokens(text, &mut Vec::new())
    }

    #[test]
    fn parentheses_count_at_the_edges_of_words() {
        use Token::{And, Close, Not, Open};
        let role = |name: &str| Token::Check(Check::Role(name.to_owned()));
        assert_eq!(
            read("((role:a)) and not role:b"),
            [Open, Open, role("a"), Close, Close, And, Not, role("b")]
        );
        assert_eq!(read("role:a(b"), [role("a(b")]);
        assert_eq!(read("( ) ()"), [Open, Close, Open, Close]);
        assert_eq!(read("role:a AND\u{1f}role:b\u{a0}"), [role("a"), And, role("b")]);
    }

    #[test]
    fn quotes_around_a_whole_word() {
        assert_eq!(read("'x':'x'"), [Token::Quoted]);
        assert_eq!(read("\"and\""), [Token::Quoted]);
        assert!(matches!(read("'a':a")[..], [Token::Check(Check::Always)]));
        assert!(matches!(read("'x')")[..], [Token::Check(Check::Never), Token::Close]));
    }
}
