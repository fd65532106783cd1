//! What must never be shown, and the reference that stands for it everywhere else.
//!
//! A [`Secret`] implements neither `Serialize` nor `Clone` nor `Display`, so that an event, a row, a log line or an
//! error cannot come to hold one by accident; `tests/secret.rs` proves that such code does not compile.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

/// A password, or an uploaded document that is secret as a whole. Wiped on drop, prints as `***`.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` over; the caller keeps no copy.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Takes `bytes` over as UTF-8 text. Bytes that are no UTF-8 are wiped and refused.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, NotUtf8> {
        String::from_utf8(bytes).map(Self::new).map_err(|error| {
            error.into_bytes().zeroize();
            NotUtf8
        })
    }

    /// The secret itself. Whoever asks must not copy it into anything that outlives its use.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Bytes given as a secret are no UTF-8 text. Says nothing about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the secret is not UTF-8 text")]
pub struct NotUtf8;

/// Names an entry in the vault. Safe in events, rows, logs and messages; serialises as a plain UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretRef(pub Uuid);

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{NotUtf8, Secret, SecretRef};
    use uuid::Uuid;

    #[test]
    fn prints_as_stars() {
        let secret = Secret::new("Li69nux*".into());
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(format!("{:#?}", Some(&secret)), "Some(\n    ***,\n)");
        assert_eq!(secret.expose(), "Li69nux*");
    }

    #[test]
    fn refuses_bytes_that_are_no_text() {
        assert_eq!(Secret::from_bytes(b"key".to_vec()).unwrap().expose(), "key");
        assert_eq!(Secret::from_bytes(vec![0xff, 0xfe]).unwrap_err(), NotUtf8);
    }

    #[test]
    fn a_reference_is_a_plain_uuid() {
        let reference = SecretRef(Uuid::from_u128(7));
        let text = serde_json::to_string(&reference).unwrap();
        assert_eq!(text, "\"00000000-0000-0000-0000-000000000007\"");
        assert_eq!(serde_json::from_str::<SecretRef>(&text).unwrap(), reference);
    }
}
