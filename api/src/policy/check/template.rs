//! Placeholders in the second half of a check: Python's `%` applied to a target that is always empty (access.md §5).

use std::str::Chars;

/// What an empty mapping looks like.
const EMPTY: &str = "{}";
/// Widths and precisions beyond this are not formatted.
const MAX_WIDTH: usize = 1000;

/// A text whose placeholders are filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expanded {
    /// The text.
    Text(String),
    /// It names something of the target, which has nothing.
    Missing,
    /// A placeholder is malformed, or needs another kind of value.
    Faulty,
}

/// Fills the placeholders of `text`: `%%` is a percent sign, `%(name)s` is missing, whatever its name.
pub(super) fn expand(text: &str) -> Expanded {
    let mut filled = String::with_capacity(text.len());
    let (mut characters, mut is_used) = (text.chars(), false);
    while let Some(character) = characters.next() {
        if character != '%' {
            filled.push(character);
            continue;
        }
        match placeholder(&mut characters, &mut is_used) {
            Ok(value) => filled.push_str(&value),
            Err(ended) => return ended,
        }
    }
    Expanded::Text(filled)
}

/// The value of the placeholder whose percent sign was just read. The target itself can be used once.
fn placeholder(characters: &mut Chars<'_>, is_used: &mut bool) -> Result<String, Expanded> {
    let mut next = next(characters)?;
    match next {
        '%' => return Ok("%".to_owned()),
        '(' => return Err(named(characters)),
        _ => {}
    }
    let mut is_left = false;
    while matches!(next, '-' | '+' | ' ' | '#' | '0') {
        is_left |= next == '-';
        next = self::next(characters)?;
    }
    let width = digits(&mut next, characters)?;
    let precision = match next {
        '.' => {
            next = self::next(characters)?;
            digits(&mut next, characters)?.or(Some(0))
        }
        _ => None,
    };
    if matches!(next, 'h' | 'l' | 'L') {
        next = self::next(characters)?;
    }
    match next {
        's' | 'r' | 'a' if !std::mem::replace(is_used, true) => {
            let value: String = EMPTY.chars().take(precision.unwrap_or(usize::MAX)).collect();
            let width = width.unwrap_or(0);
            Ok(if is_left { format!("{value:<width$}") } else { format!("{value:>width$}") })
        }
        _ => Err(Expanded::Faulty),
    }
}

fn next(characters: &mut Chars<'_>) -> Result<char, Expanded> {
    characters.next().ok_or(Expanded::Faulty)
}

/// `%(name)`: nothing has any name; but the name must end.
fn named(characters: &mut Chars<'_>) -> Expanded {
    let mut open = 1_usize;
    for character in characters {
        match character {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Expanded::Missing;
        }
    }
    Expanded::Faulty
}

fn digits(next: &mut char, characters: &mut Chars<'_>) -> Result<Option<usize>, Expanded> {
    let mut number = None;
    while let Some(digit) = next.to_digit(10) {
        let value = number.unwrap_or(0_usize) * 10 + digit as usize;
        if value > MAX_WIDTH {
            return Err(Expanded::Faulty);
        }
        number = Some(value);
        *next = self::next(characters)?;
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_target_can_be_had() {
        let text = |text: &str| Expanded::Text(text.to_owned());
        for (given, expected) in [
            ("admin", text("admin")),
            ("100%%", text("100%")),
            ("%5%", Expanded::Faulty),
            ("%(user_id)s", Expanded::Missing),
            ("%()s", Expanded::Missing),
            ("%(a(b)c)s", Expanded::Missing),
            ("%(a(b)c", Expanded::Faulty),
            ("%(x)s%", Expanded::Missing),
            ("%", Expanded::Faulty),
            ("%(x", Expanded::Faulty),
            ("%d", Expanded::Faulty),
            ("%%%q%(x)s", Expanded::Faulty),
            ("%*s", Expanded::Faulty),
            ("%99999999999999999999s", Expanded::Faulty),
            ("%s", text("{}")),
            ("a%-4.1rb", text("a{   b")),
            ("%s%s", Expanded::Faulty),
        ] {
            assert_eq!(expand(given), expected, "{given}");
        }
    }
}
