//! The text of a policy file (access.md §7): a mapping from rule names to rules, as JSON or as YAML.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::check::Definition;

/// One entry of a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRule {
    /// Name of the rule.
    pub name: String,
    /// What it says.
    pub definition: Definition,
    /// What it says, as a person wrote it; a list as JSON.
    pub text: String,
}

/// A text that is no policy.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Neither JSON nor YAML, or no mapping from texts.
    #[error("{0}")]
    Malformed(String),
    /// An entry that is no rule.
    #[error("rule {name}: {cause}")]
    Unusable {
        /// Name of the rule.
        name: String,
        /// What is wrong with it.
        cause: super::check::Unusable,
    },
}

/// Reads the text of a policy file. A file without content has no entries; of two entries with one name, the later
/// counts.
///
/// # Errors
/// [`FileError`] says where it is wrong.
pub fn parse_file(text: &str) -> Result<Vec<FileRule>, FileError> {
    let entries = match serde_json::from_str::<Entries>(text) {
        Ok(entries) => entries,
        Err(_) => serde_yaml_ng::from_str(text).map_err(|error| FileError::Malformed(error.to_string()))?,
    };
    let mut rules = Vec::<FileRule>::new();
    for (name, value) in entries.0 {
        let definition = Definition::try_from(&value)
            .map_err(|cause| FileError::Unusable { name: name.clone(), cause })?;
        rules.retain(|rule| rule.name != name);
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        rules.push(FileRule { name, definition, text });
    }
    Ok(rules)
}

/// The entries of a mapping, in order, with all of those that have the same name.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mapping;

        impl<'de> Visitor<'de> for Mapping {
            type Value = Entries;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a mapping from names of rules to rules")
            }

            /// A file without content.
            fn visit_unit<E>(self) -> Result<Entries, E> {
                Ok(Entries(Vec::new()))
            }

            fn visit_none<E>(self) -> Result<Entries, E> {
                Ok(Entries(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_any(Mapping)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn texts(file: &str) -> Vec<(String, String)> {
        parse_file(file).unwrap().into_iter().map(|rule| (rule.name, rule.text)).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn ac_61_62_json_and_yaml_say_the_same_and_an_empty_file_says_nothing() {
        let expected = pairs(&[("a", "role:member"), ("b", r#"[["role:x"],"@"]"#), ("c", "null")]);
        assert_eq!(texts(r#"{"a": "role:member", "b": [["role:x"], "@"], "c": null}"#), expected);
        assert_eq!(texts("a: role:member\nb:\n- [role:x]\n- '@'\nc:\n"), expected);
        for empty in ["", "\n\n", "# nothing\n", "---\n", "null", "{}"] {
            assert_eq!(texts(empty), [], "{empty:?}");
        }
    }

    #[test]
    fn the_later_of_two_entries_counts() {
        assert_eq!(texts("a: '!'\nb: '@'\na: '@'\n"), pairs(&[("b", "@"), ("a", "@")]));
        assert_eq!(texts(r#"{"a": "!", "a": "@"}"#), pairs(&[("a", "@")]));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for wrong in [
            "a: [",
            "- a\n- b\n",
            "just text",
            "7",
            "true",
            "a: true",
            "a: 1",
            "a: {b: c}",
            "a: [1]",
            "a: @",
            "a: !",
            "a: !python/object:x {}",
            "a: 1.5",
            "---\na: '@'\n---\nb: '@'\n",
            "[1, 2]",
            "{\"a\": ",
        ] {
            assert!(parse_file(wrong).is_err(), "{wrong:?}: {:?}", parse_file(wrong));
        }
        let said = parse_file("a: '@'\nb: yes please\nc: false\n").unwrap_err().to_string();
        assert_eq!(said, "rule c: a rule is a text or a list, not a boolean");
        let said = parse_file("a: '@'\nb: [\n").unwrap_err().to_string();
        assert!(said.contains("line"), "{said}");
    }

    #[test]
    fn aliases_cannot_make_a_small_file_large() {
        let mut bomb = "a0: &a0 ['@', '@']\n".to_owned();
        for n in 1..40 {
            let last = n - 1;
            bomb.push_str(&format!(
                "a{n}: &a{n} [*a{last}, *a{last}, *a{last}, *a{last}, *a{last}, *a{last}]\n"
            ));
        }
        assert!(parse_file(&bomb).is_err());
    }
}
