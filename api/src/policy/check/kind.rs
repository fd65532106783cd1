//! The first half of a check, where it is none of the language's own words: a literal of Python, or a dotted name that is
//! looked up among the credentials.

use std::str::Chars;

use super::Credential;
use super::number::Number;
use super::quoted::quoted;

/// Words that are no names in Python.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];
const CONSTANTS: [&str; 3] = ["True", "False", "None"];
/// The longer ones first.
const OPERATORS: [&str; 19] =
    ["**", "//", "<<", ">>", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "@", "&", "|", "^", "<", ">"];

/// What the first half of a check is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A literal; its text.
    Literal(String),
    /// A credential.
    Credential(Credential),
    /// A name inside a credential.
    Inside(Credential),
    /// An expression that is no literal and no name of a credential.
    Unknown,
    /// Not an expression, or one that is not understood here.
    Faulty,
}

impl Kind {
    /// What `text` is.
    pub(super) fn of(text: &str) -> Self {
        lexemes(text).map_or(Self::Faulty, |lexemes| Self::from_lexemes(text, lexemes))
    }

    fn from_lexemes(text: &str, lexemes: Vec<Lexeme>) -> Self {
        match &lexemes[..] {
            [Lexeme::Number(number)] => return Self::Literal(number.clone().text(false)),
            [Lexeme::Operator("-"), Lexeme::Number(number)] => {
                return Self::Literal(number.clone().text(true));
            }
            [Lexeme::Operator("+"), Lexeme::Number(number)] => {
                return Self::Literal(number.clone().text(false));
            }
            [Lexeme::Name(name)] if CONSTANTS.contains(&name.as_str()) => return Self::Literal(name.clone()),
            _ => {}
        }
        let texts = lexemes.iter().map(|lexeme| match lexeme {
            Lexeme::Text(text) => Some(text.as_str()),
            _ => None,
        });
        // Texts side by side are one.
        if let Some(texts) = texts.collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty()) {
            return Self::Literal(texts.concat());
        }
        match is_expression(&lexemes) {
            true => Self::looked_up(text),
            false => Self::Faulty,
        }
    }

    fn looked_up(path: &str) -> Self {
        let (name, inside) = path.split_once('.').map_or((path, false), |(name, _)| (name, true));
        match (Credential::named(name), inside) {
            (Some(credential), false) => Self::Credential(credential),
            (Some(credential), true) => Self::Inside(credential),
            (None, _) => Self::Unknown,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Lexeme {
    Text(String),
    Number(Number),
    Name(String),
    Dot,
    Comma,
    Tilde,
    Operator(&'static str),
}

/// The parts of `text`; `None` if it has one that no expression has, or a bracket.
fn lexemes(text: &str) -> Option<Vec<Lexeme>> {
    let mut lexemes = Vec::new();
    let mut rest = text.chars();
    while let Some(first) = rest.clone().next() {
        let lexeme = match first {
            ' ' | '\t' => {
                rest.next();
                continue;
            }
            '\'' | '"' => {
                rest.next();
                Lexeme::Text(quoted(&mut rest, first, false)?)
            }
            _ if starts_number(rest.as_str()) => Lexeme::Number(Number::parse(number(&mut rest))?),
            _ if first == '_' || first.is_alphabetic() => name_or_text(&mut rest)?,
            _ => symbol(&mut rest)?,
        };
        lexemes.push(lexeme);
    }
    Some(lexemes)
}

fn starts_number(text: &str) -> bool {
    text.strip_prefix('.').unwrap_or(text).starts_with(|first: char| first.is_ascii_digit())
}

/// Takes what belongs to a number: what follows without a break is part of it, or makes it none. One point at most, and
/// none behind an exponent or in another base: what follows that one is a name.
fn number<'t>(rest: &mut Chars<'t>) -> &'t str {
    let text = rest.as_str();
    let is_decimal = !["0x", "0X", "0o", "0O", "0b", "0B"].iter().any(|base| text.starts_with(base));
    let (mut is_whole, mut previous) = (is_decimal, ' ');
    let end = text.find(|next: char| {
        let is_sign = is_decimal && matches!(previous, 'e' | 'E') && matches!(next, '+' | '-');
        let is_part = match next {
            '.' => is_whole,
            _ => is_sign || next == '_' || next.is_alphanumeric(),
        };
        is_whole &= !matches!(next, '.' | 'e' | 'E');
        previous = next;
        !is_part
    });
    take(rest, end.unwrap_or(text.len()))
}

/// A name, or a text with a prefix.
fn name_or_text(rest: &mut Chars<'_>) -> Option<Lexeme> {
    let text = rest.as_str();
    let end = text.find(|next: char| next != '_' && !next.is_alphanumeric()).unwrap_or(text.len());
    let name = take(rest, end);
    let is_raw = match name {
        "r" | "R" => Some(true),
        "u" | "U" => Some(false),
        _ => None,
    };
    match (is_raw, rest.clone().next()) {
        (Some(is_raw), Some(quote @ ('\'' | '"'))) => {
            rest.next();
            quoted(rest, quote, is_raw).map(Lexeme::Text)
        }
        _ => Some(Lexeme::Name(name.to_owned())),
    }
}

fn symbol(rest: &mut Chars<'_>) -> Option<Lexeme> {
    let text = rest.as_str();
    if let Some(operator) = OPERATORS.into_iter().find(|operator| text.starts_with(operator)) {
        take(rest, operator.len());
        return Some(Lexeme::Operator(operator));
    }
    match rest.next()? {
        '.' => Some(Lexeme::Dot),
        ',' => Some(Lexeme::Comma),
        '~' => Some(Lexeme::Tilde),
        _ => None,
    }
}

/// Takes the first `length` bytes, which end between two characters.
fn take<'t>(rest: &mut Chars<'t>, length: usize) -> &'t str {
    let (taken, left) = rest.as_str().split_at(length);
    *rest = left.chars();
    taken
}

/// Whether Python takes them for an expression: operands joined by operators, words or commas, the last of which may
/// trail.
fn is_expression(lexemes: &[Lexeme]) -> bool {
    let is = |name: &str, words: &[&str]| words.contains(&name);
    let (mut rest, mut may_negate) = (lexemes, true);
    loop {
        while let [Lexeme::Name(name), more @ ..] = rest
            && may_negate
            && is(name, &["not"])
        {
            rest = more;
        }
        while let [Lexeme::Operator("+" | "-") | Lexeme::Tilde, more @ ..] = rest {
            rest = more;
        }
        (rest, may_negate) = match operand(rest) {
            Some([] | [Lexeme::Comma]) => return true,
            Some([Lexeme::Comma, more @ ..]) => (more, true),
            Some([Lexeme::Operator(_), more @ ..]) => (more, false),
            Some([Lexeme::Name(name), more @ ..]) if is(name, &["and", "or"]) => (more, true),
            _ => return false,
        };
    }
}

/// What follows an operand: a number, texts, or a name, and names after dots.
fn operand(lexemes: &[Lexeme]) -> Option<&[Lexeme]> {
    let is_name = |name: &str| !KEYWORDS.contains(&name);
    let mut rest = match lexemes {
        [Lexeme::Number(_), rest @ ..] => rest,
        [Lexeme::Name(name), rest @ ..] if is_name(name) || CONSTANTS.contains(&name.as_str()) => rest,
        [Lexeme::Text(_), ..] => {
            let texts = lexemes.iter().take_while(|lexeme| matches!(lexeme, Lexeme::Text(_))).count();
            &lexemes[texts..]
        }
        _ => return None,
    };
    while let [Lexeme::Dot, more @ ..] = rest {
        match more {
            [Lexeme::Name(name), more @ ..] if is_name(name) => rest = more,
            _ => return None,
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_names_and_the_rest() {
        let literal = |text: &str| Kind::Literal(text.to_owned());
        for (given, expected) in [
            ("True", literal("True")),
            ("None", literal("None")),
            ("'admin'", literal("admin")),
            ("\"a\"'b'", literal("ab")),
            ("r'\\d'", literal("\\d")),
            ("7", literal("7")),
            ("-7", literal("-7")),
            ("+1.50", literal("1.5")),
            ("1e-5", literal("1e-05")),
            ("project_name", Kind::Credential(Credential::ProjectName)),
            ("roles", Kind::Credential(Credential::Roles)),
            ("roles.x", Kind::Inside(Credential::Roles)),
            ("project_name.a.b", Kind::Inside(Credential::ProjectName)),
            ("is_admin", Kind::Unknown),
            ("user.domain.id", Kind::Unknown),
            (" project_name", Kind::Unknown),
            ("True.x", Kind::Unknown),
            ("user-id", Kind::Unknown),
            ("a,b,", Kind::Unknown),
            ("--1", Kind::Unknown),
            ("not-7", Kind::Unknown),
            ("not'a'", Kind::Unknown),
            ("a or not b", Kind::Unknown),
            ("1+2", Kind::Unknown),
            ("'a'.b", Kind::Unknown),
            ("1.5.real", Kind::Unknown),
            ("1e5._x", Kind::Unknown),
            ("0b1._0", Kind::Unknown),
            ("", Kind::Faulty),
            ("class", Kind::Faulty),
            ("a.None", Kind::Faulty),
            ("a.", Kind::Faulty),
            (".a", Kind::Faulty),
            ("a..b", Kind::Faulty),
            ("1a", Kind::Faulty),
            ("1.real", Kind::Faulty),
            ("0x1.5", Kind::Faulty),
            ("007", Kind::Faulty),
            ("a=b", Kind::Faulty),
            ("a$", Kind::Faulty),
            ("a b", Kind::Faulty),
            ("'open", Kind::Faulty),
            ("b'x'", Kind::Faulty),
            ("a+not b", Kind::Faulty),
            ("[1]", Kind::Faulty),
            (",a", Kind::Faulty),
        ] {
            assert_eq!(Kind::of(given), expected, "{given}");
        }
    }
}
