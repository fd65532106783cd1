//! A password in a configuration.

use std::fmt;
use std::sync::Arc;

use dcm_domain::value::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A password. Prints and serialises as `***`.
#[derive(Clone, JsonSchema)]
#[schemars(with = "String")]
pub struct Password(Arc<Secret>);

impl Password {
    /// The password for its use.
    pub fn secret(&self) -> Secret {
        Secret::new(self.0.expose().to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error of a value of another kind would show it.
        let text =
            String::deserialize(deserializer).map_err(|_| de::Error::custom("a password is a text"))?;
        Ok(Self(Arc::new(Secret::new(text))))
    }
}
