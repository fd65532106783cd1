//! Passwords of the form (subclouds.md §1.4).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::Refused;
use crate::value::Secret;

/// Takes what old clients send: padding is looked at by [`data_characters`], left-over bits are ignored.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// The password in `value`, the form field `field`: base64 of UTF-8, characters outside the alphabet ignored
/// (subclouds.md §1.4). A password that begins with punctuation comes back in quotes, as playbooks read it from YAML.
/// Refuses with `<field> required` or `Failed to decode subcloud <field>`, never showing the value.
pub fn base64_password(field: &str, value: Option<&str>) -> Result<Secret, Refused> {
    let decoded = decode(field, given(field, value)?)?;
    Ok(quote(decoded))
}

/// The same check for a password that is stored as sent; returns `value` itself.
pub(super) fn still_encoded<'a>(field: &str, value: Option<&'a str>) -> Result<&'a str, Refused> {
    let value = given(field, value)?;
    decode(field, value).map(|_| value)
}

fn given<'a>(field: &str, value: Option<&'a str>) -> Result<&'a str, Refused> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Refused::bad_request(format!("{field} required")))
}

fn decode(field: &str, value: &str) -> Result<Secret, Refused> {
    let refused =
        || Refused::bad_request(format!("Failed to decode subcloud {field}: it must be base64 of UTF-8"));
    let data = data_characters(value).ok_or_else(refused)?;
    let bytes = LENIENT.decode(data.as_slice()).map_err(|_| refused())?;
    let secret = Secret::from_bytes(bytes).map_err(|_| refused())?;
    if secret.expose().is_empty() { Err(refused()) } else { Ok(secret) }
}

/// The characters of the alphabet up to the padding that completes a group of four, whatever stands between them;
/// `None` if the last group is left incomplete.
fn data_characters(value: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut data = Zeroizing::new(Vec::with_capacity(value.len()));
    let mut padding = 0;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/' {
            data.push(byte);
            padding = 0;
        } else if byte == b'=' && data.len() % 4 >= 2 {
            padding += 1;
            if data.len() % 4 + padding == 4 {
                return Some(data);
            }
        }
    }
    data.len().is_multiple_of(4).then_some(data)
}

/// Puts quotes around a password that YAML would otherwise not read as text (subclouds.md §1.4).
fn quote(password: Secret) -> Secret {
    let text = password.expose();
    match text.chars().next() {
        Some('"') if !text.ends_with('"') => Secret::new(format!("'{text}'")),
        Some('"') => password,
        Some(first) if first.is_ascii_punctuation() => Secret::new(format!("\"{text}\"")),
        _ => password,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{base64_password, still_encoded};
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    fn decoded(value: &str) -> String {
        base64_password("sysadmin_password", Some(value)).unwrap().expose().to_owned()
    }

    #[test]
    fn sc_111_a_password_is_required() {
        for absent in [None, Some("")] {
            let refused = base64_password("sysadmin_password", absent).unwrap_err();
            assert_eq!(refused.text, "sysadmin_password required");
        }
    }

    #[test]
    fn sc_112_what_does_not_decode_is_refused_without_being_shown() {
        for bad in ["a", "dGVzdHBhc3M", "dGVzdHBhc3M*", "/w==", "gICAgA==", "!!!!", "=", "ab=c="] {
            let refused = base64_password("sysadmin_password", Some(bad)).unwrap_err();
            assert!(refused.text.starts_with("Failed to decode subcloud sysadmin_password"));
            assert!(!refused.text.contains("dGVz") && !refused.text.contains("gICA"));
        }
    }

    #[test]
    fn the_decoder_is_lenient() {
        for value in
            ["dGVzdHBhc3M=", "dGVz dHBh\r\nc3M=", "dGVz-dHBh*c3M=", "=dGVzdHBhc3M=", "dGVzdHBhc3M=ignored"]
        {
            assert_eq!(decoded(value), "testpass", "{value:?}");
        }
        assert_eq!(decoded("YR=="), "a", "left-over bits are ignored");
        assert_eq!(decoded("w7w="), "ü");
    }

    #[test]
    fn punctuation_in_front_brings_quotes() {
        for (password, expected) in [
            ("plain", "plain"),
            ("1*2", "1*2"),
            ("*star", "\"*star\""),
            ("'a'", "\"'a'\""),
            ("{{ x }}", "\"{{ x }}\""),
            ("\"quoted\"", "\"quoted\""),
            ("\"half", "'\"half'"),
            ("\"", "\""),
            ("ü!", "ü!"),
        ] {
            assert_eq!(decoded(&BASE64_STANDARD.encode(password)), expected, "{password}");
        }
    }

    #[test]
    fn a_stored_password_stays_encoded() {
        assert_eq!(still_encoded("bmc_password", Some("dGVzdHBhc3M=")).unwrap(), "dGVzdHBhc3M=");
        assert_eq!(still_encoded("bmc_password", None).unwrap_err().text, "bmc_password required");
        let refused = still_encoded("bmc_password", Some("a")).unwrap_err();
        assert!(refused.text.starts_with("Failed to decode subcloud bmc_password"));
    }

    proptest! {
        #[test]
        fn never_panics(value in any::<String>(), close in "[A-Za-z0-9+/=\n ]{0,40}") {
            for value in [value, close] {
                let _ = base64_password("sysadmin_password", Some(&value));
            }
        }

        #[test]
        fn every_password_comes_back(password in "[a-zA-Z0-9]\\PC{0,40}") {
            prop_assert_eq!(decoded(&BASE64_STANDARD.encode(&password)), password);
        }
    }
}
