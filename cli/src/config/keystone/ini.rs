//! The `[keystone_authtoken]` section of an INI file, as the old service reads it.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use configparser::ini::Ini;

const SECTION: &str = "keystone_authtoken";

/// Keys and values of the section. Prints its keys alone.
#[derive(Default)]
pub struct Section(HashMap<String, String>);

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Section {
    /// Reads the section of the file at `path`; empty if the file has none.
    ///
    /// # Errors
    /// Why the file cannot be read, without anything of what is in it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        // A `#` or `;` within a value belongs to it: passwords have them.
        let mut as_is = Ini::new().defaults();
        as_is.enable_inline_comments = false;
        let mut ini = Ini::new_from_defaults(as_is);
        let mut sections = ini.read(text).map_err(|_| format!("{}: not an INI file", path.display()))?;
        let keys = sections.remove(SECTION).unwrap_or_default();
        Ok(Self(keys.into_iter().filter_map(|(key, value)| Some((key, plain(&value?)))).collect()))
    }

    /// A value that is there and not empty.
    pub fn text(&self, key: &str) -> Option<String> {
        self.0.get(key).filter(|value| !value.is_empty()).cloned()
    }

    /// A number; one below zero, which once meant "never", is zero.
    pub fn number(&self, key: &str) -> Option<u64> {
        let number: i64 = self.0.get(key)?.parse().ok()?;
        Some(u64::try_from(number).unwrap_or_default())
    }

    /// Items between commas.
    pub fn list(&self, key: &str) -> Option<Vec<String>> {
        let items = self.text(key)?;
        Some(items.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    /// Whether it is switched on, in any of the usual words.
    pub fn flag(&self, key: &str) -> bool {
        let on = |value: &String| ["true", "1", "yes", "on"].contains(&value.to_lowercase().as_str());
        self.0.get(key).is_some_and(on)
    }
}

/// The value without quotes around it; `$$` stands for `$`.
fn plain(value: &str) -> String {
    let quoted = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value).replace("$$", "$")
}
