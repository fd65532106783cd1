//! Names of subclouds and of their regions.
//!
//! A name becomes a file name, a subject token, a host pattern and a variable of a playbook, so whatever has a meaning
//! in one of those places never gets in. Values read back from the journal are taken as they are: an old event must
//! fold whatever the rules of today say.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest name or region, in characters (the width of the old columns, subclouds.md §3.1).
const LONGEST: usize = 255;

/// Why a text is no name or region. Names the field and the rule, never the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// Not what a name may be on create (decisions.md, Names).
    #[error(
        "name invalid: must have 1 to 255 letters, digits, blanks, '.', '_' or '-', the first a letter or digit"
    )]
    Create,
    /// Not what a name may become by a rename (subclouds.md V7).
    #[error(
        "name must contain alphabetic characters: lower case letters, digits and '-', in parts separated by single \
         dots, no part beginning or ending with '-', at most 255 in all"
    )]
    Rename,
    /// Not what a region name may be (decisions.md, Names).
    #[error("region_name invalid: must have 1 to 255 letters, digits, '.', '_' or '-'")]
    Region,
}

/// The name of a subcloud.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Reads a name for a new subcloud: 1–255 ASCII letters, digits, blanks, `.`, `_`, `-`, beginning with a letter
    /// or digit (decisions.md, Names). Digits only and reserved words pass here; subclouds.md V4 refuses them.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let fits = text.len() <= LONGEST && text.bytes().all(|b| is_word(b) || b == b' ');
        if begins_well && fits { Ok(Self(text.to_owned())) } else { Err(InvalidName::Create) }
    }

    /// Reads the new name of a rename: an RFC 1123 subdomain in lower case (subclouds.md V7). Digits only pass. The
    /// bound of 255 characters is that of the names it stands beside.
    pub fn parse_rename(text: &str) -> Result<Self, InvalidName> {
        if text.len() <= LONGEST && text.split('.').all(is_label) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::Rename)
        }
    }

    /// The name of a row of an existing installation, kept whatever today's rules say (decisions.md, "Import"); `None`
    /// if it is empty, longer than its column or holds control characters.
    pub fn imported(text: &str) -> Option<Self> {
        is_storable(text).then(|| Self(text.to_owned()))
    }
}

/// Whether an old row may have the text as a name: anything that can be shown and stored.
fn is_storable(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= LONGEST && !text.chars().any(char::is_control)
}

/// The region name of a subcloud: its key on the bus, stable across renames.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Region(String);

impl Region {
    /// Reads a region name: `[A-Za-z0-9._-]{1,255}` (decisions.md, Names). `.` and `..` are refused too: alone they
    /// are folders, not names.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let fits = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(is_word);
        if fits && text != "." && text != ".." { Ok(Self(text.to_owned())) } else { Err(InvalidName::Region) }
    }

    /// The region of a row of an existing installation, as [`Name::imported`].
    pub fn imported(text: &str) -> Option<Self> {
        is_storable(text).then(|| Self(text.to_owned()))
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn is_label(label: &str) -> bool {
    let inner = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

macro_rules! reads_as_text {
    ($name:ident) => {
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

reads_as_text!(Name);
reads_as_text!(Region);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{InvalidName, Name, Region};
    use proptest::prelude::*;

    /// Texts that mean something to a file system, a shell, a host pattern, a template, a bus or a terminal.
    const HOSTILE: [&str; 35] = [
        "",
        " ",
        " edge",
        ".",
        "..",
        "../edge",
        ".hidden",
        "-edge",
        "--limit",
        "_edge",
        "a/b",
        "/etc/passwd",
        "a\\b",
        "a\0b",
        "a\nb",
        "edge\n",
        "a\rb",
        "a\tb",
        "\u{1b}[31m",
        "{{ lookup('env') }}",
        "a{b}",
        "a:b",
        "a,b",
        "!all",
        "a!b",
        "a[0]",
        "a]b",
        "*",
        "edge*",
        "a>b",
        "a'b",
        "a\"b",
        "a$b",
        "größe",
        "ed\u{200b}ge",
    ];

    #[test]
    fn accepts_what_existing_clients_create() {
        let longest = "x".repeat(255);
        for text in ["subcloud1", "Sub Cloud_1", "1edge", "123", "a.b-c_d", "edge ", longest.as_str()] {
            assert_eq!(Name::parse(text).unwrap().as_ref(), text);
        }
    }

    #[test]
    fn refuses_hostile_names_and_says_which_field() {
        for text in HOSTILE {
            assert_eq!(Name::parse(text), Err(InvalidName::Create), "{text:?}");
            assert_eq!(Name::parse_rename(text), Err(InvalidName::Rename), "{text:?}");
        }
        assert_eq!(Name::parse(&"x".repeat(256)), Err(InvalidName::Create));
        assert!(InvalidName::Create.to_string().starts_with("name "));
    }

    #[test]
    fn refuses_hostile_regions_and_says_which_field() {
        let harmless = [".hidden", "-edge", "--limit", "_edge"];
        for text in HOSTILE.into_iter().filter(|text| !harmless.contains(text)) {
            assert_eq!(Region::parse(text), Err(InvalidName::Region), "{text:?}");
        }
        assert_eq!(Region::parse(&"x".repeat(256)), Err(InvalidName::Region));
        assert_eq!(Region::parse("edge 1"), Err(InvalidName::Region));
        assert!(InvalidName::Region.to_string().starts_with("region_name "));
        let made = "2ec93dfb654846909efe61d1b39dd2ce";
        assert_eq!(Region::parse(made).unwrap().to_string(), made);
    }

    #[test]
    fn rename_wants_an_rfc_1123_subdomain() {
        for text in ["subcloud2", "123", "a.b.c", "a-b", "0"] {
            assert_eq!(Name::parse_rename(text).unwrap().to_string(), text);
        }
        for text in ["Edge", "a b", "a_b", "a..b", ".a", "a.", "a-", "-a", "a.-b", "a-.b"] {
            assert_eq!(Name::parse_rename(text), Err(InvalidName::Rename), "{text:?}");
        }
        assert_eq!(Name::parse_rename(&"x".repeat(256)), Err(InvalidName::Rename));
        assert!(InvalidName::Rename.to_string().contains("must contain alphabetic characters"));
    }

    #[test]
    fn old_journal_data_folds_whatever_the_rules_say_today() {
        let name: Name = serde_json::from_str("\"Größe/1\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"Größe/1\"");
        let region: Region = serde_json::from_str("\"a b\"").unwrap();
        assert_eq!(region.as_ref(), "a b");
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe_as_a_file_name(text in any::<String>()) {
            for accepted in [Name::parse(&text), Name::parse_rename(&text)].into_iter().flatten() {
                let safe = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
                prop_assert!(accepted.as_ref().chars().all(safe));
                prop_assert!(accepted.as_ref().starts_with(|c: char| c.is_ascii_alphanumeric()));
            }
            if let Ok(region) = Region::parse(&text) {
                prop_assert!(region.as_ref() != "..");
            }
        }

        #[test]
        fn every_rename_is_a_name(text in "[a-z0-9.-]{1,20}") {
            if let Ok(renamed) = Name::parse_rename(&text) {
                prop_assert_eq!(Name::parse(&text), Ok(renamed));
            }
        }
    }
}
