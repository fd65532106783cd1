//! Numbers as Python writes them.

/// A number literal without its sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number {
    text: String,
    is_zero_integer: bool,
}

impl Number {
    /// Reads a literal of Python: decimal, hexadecimal, octal or binary integers, and floats.
    /// `None` for what is none, for complex numbers, and for integers in other bases beyond 128 bits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
            if let Some(digits) = lower.strip_prefix(prefix) {
                let digits = grouped(digits.strip_prefix('_').unwrap_or(digits), radix)?;
                return u128::from_str_radix(&digits, radix)
                    .ok()
                    .map(|number| Self::integer(number.to_string()));
            }
        }
        if lower.contains(['.', 'e']) {
            return Some(Self { text: float(&lower)?, is_zero_integer: false });
        }
        let digits = grouped(&lower, 10)?;
        let significant = digits.trim_start_matches('0');
        match (significant.is_empty(), significant.len() == digits.len()) {
            (true, _) => Some(Self::integer("0".to_owned())),
            (false, true) => Some(Self::integer(digits)),
            // `007` is no number.
            (false, false) => None,
        }
    }

    fn integer(text: String) -> Self {
        Self { is_zero_integer: text == "0", text }
    }

    /// How Python writes it.
    pub(super) fn text(self, is_negative: bool) -> String {
        match is_negative && !self.is_zero_integer {
            true => format!("-{}", self.text),
            false => self.text,
        }
    }
}

/// Digits without the single underscores between them.
fn grouped(text: &str, radix: u32) -> Option<String> {
    let is_grouped =
        text.split('_').all(|group| !group.is_empty() && group.chars().all(|c| c.is_digit(radix)));
    is_grouped.then(|| text.replace('_', ""))
}

fn float(lower: &str) -> Option<String> {
    let (mantissa, exponent) = lower.split_once('e').map_or((lower, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let part = |text: &str| if text.is_empty() { Some(String::new()) } else { grouped(text, 10) };
    let mut plain = format!("0{}.{}0", part(whole)?, part(fraction)?);
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let sign = if exponent.starts_with('-') { "-" } else { "" };
        plain = format!("{plain}e{sign}{}", grouped(digits, 10)?);
    }
    plain.parse().ok().map(written)
}

/// The shortest text that reads back as the same float: plain from 1e-4 to below 1e16, else with an exponent of two
/// digits at least.
fn written(number: f64) -> String {
    if number.is_infinite() {
        return "inf".to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{number:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        for (given, expected) in [
            ("0", "0"),
            ("00", "0"),
            ("1_000", "1000"),
            ("0xFF", "255"),
            ("0o17", "15"),
            ("0b_11", "3"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("1.50", "1.5"),
            ("1e3", "1000.0"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("1.25e-7", "1.25e-07"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1e999", "inf"),
            ("0.0", "0.0"),
        ] {
            assert_eq!(
                Number::parse(given).map(|number| number.text(false)).as_deref(),
                Some(expected),
                "{given}"
            );
        }
        for wrong in ["007", "1__0", "_1", "1_", "0x", "0xg", "1e", "1j", "1.5j", ".", "1a", "1_.5", "0b2"] {
            assert_eq!(Number::parse(wrong), None, "{wrong}");
        }
        let negative = |text| Number::parse(text).map(|number| number.text(true));
        assert_eq!(negative("0").as_deref(), Some("0"));
        assert_eq!(negative("0.0").as_deref(), Some("-0.0"));
        assert_eq!(negative("7").as_deref(), Some("-7"));
    }
}
