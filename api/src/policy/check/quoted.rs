//! Text literals of Python.

use std::str::Chars;

/// Reads a text up to `quote`, behind which `characters` then stand; `is_raw` without escapes.
/// `None` if it does not end, or has an escape that is no character.
pub(super) fn quoted(characters: &mut Chars<'_>, quote: char, is_raw: bool) -> Option<String> {
    let mut text = String::new();
    loop {
        match characters.next()? {
            end if end == quote => return Some(text),
            '\n' | '\r' | '\0' => return None,
            '\\' if is_raw => {
                text.push('\\');
                text.push(characters.next()?);
            }
            '\\' => escape(characters, &mut text)?,
            other => text.push(other),
        }
    }
}

fn escape(characters: &mut Chars<'_>, text: &mut String) -> Option<()> {
    let plain = match characters.next()? {
        same @ ('\\' | '\'' | '"') => same,
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'x' => hexadecimal(characters, 2)?,
        'u' => hexadecimal(characters, 4)?,
        'U' => hexadecimal(characters, 8)?,
        'N' | '\n' | '\r' => return None,
        digit if digit.is_digit(8) => octal(digit, characters)?,
        other => {
            text.push('\\');
            other
        }
    };
    text.push(plain);
    Some(())
}

fn hexadecimal(characters: &mut Chars<'_>, digits: usize) -> Option<char> {
    let mut number = 0_u32;
    for _ in 0..digits {
        number = number.checked_mul(16)? + characters.next()?.to_digit(16)?;
    }
    char::from_u32(number)
}

/// Up to three digits.
fn octal(first: char, characters: &mut Chars<'_>) -> Option<char> {
    let mut number = first.to_digit(8)?;
    for _ in 0..2 {
        let Some(digit) = characters.clone().next().and_then(|next| next.to_digit(8)) else { break };
        characters.next();
        number = number * 8 + digit;
    }
    char::from_u32(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_ends() {
        let read = |text: &str, is_raw| quoted(&mut text.chars(), '\'', is_raw);
        for (given, expected) in [
            ("admin'", Some("admin")),
            ("'", Some("")),
            (r"a\'b'", Some("a'b")),
            (r"\x41\u00e9\101\7'", Some("A\u{e9}A\u{7}")),
            (r"\q\n'", Some("\\q\n")),
            (r"\U00110000'", None),
            (r"\ud800'", None),
            (r"\x4'", None),
            (r"\N{DIGIT ONE}'", None),
            ("open", None),
        ] {
            assert_eq!(read(given, false).as_deref(), expected, "{given}");
        }
        assert_eq!(read(r"\x41\''", true).as_deref(), Some(r"\x41\'"));
    }
}
