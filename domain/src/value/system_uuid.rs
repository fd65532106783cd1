//! The UUID of a system, as clients write it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Hexadecimal digits of a UUID.
const DIGITS: usize = 32;
/// The longest text that is kept (fleet.md §14).
const LONGEST: usize = 255;

/// The UUID of a system. Keeps the text as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SystemUuid(String);

impl SystemUuid {
    /// Reads what Python's UUID parser takes (fleet.md §3.2): 32 hexadecimal digits with dashes anywhere, in braces or
    /// not, behind `urn:` and `uuid:` or not. `None` for anything else, and for texts of more than 255 characters.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() <= LONGEST && value(text).is_some()).then(|| Self(text.to_owned()))
    }

    /// The text it was read from.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether two texts are the same UUID, however each is written; texts that are none are compared as they are.
    pub fn same(one: &str, other: &str) -> bool {
        one == other || value(one).is_some_and(|one| value(other) == Some(one))
    }
}

fn value(text: &str) -> Option<Uuid> {
    let bare = text.replace("urn:", "").replace("uuid:", "");
    let digits = bare.trim_matches(['{', '}']).replace('-', "");
    let hexadecimal = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal.then(|| Uuid::try_parse(&digits).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::SystemUuid;

    const PLAIN: &str = "d9dea83f-f271-470d-9cce-44b0162a800b";

    #[test]
    fn takes_every_spelling_and_keeps_it() {
        for text in [
            PLAIN,
            "D9DEA83FF271470D9CCE44B0162A800B",
            "{d9dea83f-f271-470d-9cce-44b0162a800b}",
            "urn:uuid:d9dea83f-f271-470d-9cce-44b0162a800b",
            "d9dea83ff271-470d9cce44b0162a800b-",
        ] {
            assert_eq!(SystemUuid::parse(text).as_ref().map(SystemUuid::as_str), Some(text));
            assert!(SystemUuid::same(text, PLAIN), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        let long = format!("{PLAIN}{}", "-".repeat(255));
        for text in ["", "123", "not-a-uuid", "d9dea83ff271470d9cce44b0162a800", "gg", " ", long.as_str()] {
            assert_eq!(SystemUuid::parse(text), None, "{text}");
        }
        assert!(SystemUuid::same("dc", "dc") && !SystemUuid::same("dc", PLAIN));
    }
}
