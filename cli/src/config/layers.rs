//! Putting the layers of the configuration together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use toml::{Table, Value};

use super::{Auth, Config, LogFormat, Profile, Role};

/// Prefix of environment variables that are configuration; `__` goes one section down.
const PREFIX: &str = "DCM_";
/// Variables with the prefix that are not: of the client commands, and the file's own name.
const NOT_CONFIGURATION: [&str; 3] = ["DCM_URL", "DCM_CONFIG", "DCM_IMPORT_FROM"];
/// Keys whose values are secrets.
const SECRETS: [&str; 1] = ["keystone.password"];

/// Flags that override file and environment. Each is named as its key in the file.
#[derive(Clone, Debug, Default, clap::Args, Serialize)]
pub struct Flags {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "DCM_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Address to serve HTTP on; port 0 picks one [default: 127.0.0.1:8119].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Directory of embedded stores [default: .dcm].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Journal: embedded:, postgres://… or esdb://… [default: embedded:].
    #[arg(long, value_name = "URL")]
    pub journal: Option<String>,
    /// Bus: local: or nats://… [default: local:].
    #[arg(long, value_name = "URL")]
    pub bus: Option<String>,
    /// Read models: embedded: or postgres://… [default: embedded:].
    #[arg(long, value_name = "URL")]
    pub read_model: Option<String>,
    /// Vault: embedded: or postgres://… [default: beside the journal].
    #[arg(long, value_name = "URL")]
    pub vault: Option<String>,
    /// The vault's key file; made by itself only with an embedded vault.
    #[arg(long, value_name = "FILE")]
    pub vault_key_file: Option<PathBuf>,
    /// How callers are identified [default: none].
    #[arg(long, value_enum)]
    pub auth: Option<Auth>,
    /// Allow listening beyond loopback in a mode that believes whoever asks.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_open_listen: bool,
    /// Certificate to serve HTTPS with (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Parts to run in this process [default: all].
    #[arg(long, value_enum, value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Fill an empty journal with N demo subclouds, and serve their endpoints.
    #[arg(long, value_name = "N")]
    pub demo: Option<u32>,
    /// How log lines look [default: text].
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
    /// What is logged [default: info].
    #[arg(long, value_name = "DIRECTIVES")]
    pub log_filter: Option<String>,
    /// Where the defaults of paths come from [default: local].
    #[arg(long, value_enum)]
    pub profile: Option<Profile>,
    /// Any other key, as in the file: `--set deploy.parallel_runs=4`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    #[serde(skip)]
    pub set: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// A layer is not TOML, or holds an unknown key or a value of the wrong kind.
    #[error("{layer}: {cause}")]
    Invalid {
        /// Which layer.
        layer: String,
        /// What is wrong.
        cause: String,
    },
    /// `--set` of a password, which every process of the machine could read.
    #[error("--set {key}: a secret belongs into the file or the environment, not into a command line")]
    Secret {
        /// The key.
        key: String,
    },
    /// `--set` without `=`.
    #[error("--set {text}: expected KEY=VALUE")]
    NotAnAssignment {
        /// What was given.
        text: String,
    },
}

/// The environment; variables that are not text are nobody's configuration.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Reads the configuration from its layers.
///
/// # Errors
/// [`ConfigError`] names the layer and the key.
pub fn load(
    flags: &Flags,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let defaults = Table::try_from(Config::default()).map_err(|cause| invalid("defaults", &cause))?;
    let mut merged = Table::new();
    if let Some(path) = &flags.config {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ConfigError::Unreadable { path: path.clone(), cause })?;
        let layer = path.display().to_string();
        let file: Table =
            text.parse().map_err(|cause: toml::de::Error| invalid(&layer, &misread(&text, &cause)))?;
        Config::deserialize_from(&file).map_err(|cause| invalid(&layer, &cause))?;
        merge(&mut merged, file);
    }
    merge(&mut merged, from_environment(&defaults, environment)?);
    let given = Table::try_from(flags).map_err(|cause| invalid("flags", &cause))?;
    merge(&mut merged, given);
    for assignment in &flags.set {
        let (key, value) = assignment
            .split_once('=')
            .ok_or_else(|| ConfigError::NotAnAssignment { text: assignment.clone() })?;
        if SECRETS.contains(&key) {
            return Err(ConfigError::Secret { key: key.to_owned() });
        }
        let path: Vec<&str> = key.split('.').collect();
        merge(&mut merged, nested(&path, typed(&defaults, &path, value)));
    }
    Config::deserialize_from(&merged).map_err(|cause| invalid("configuration", &cause))
}

impl Config {
    fn deserialize_from(table: &Table) -> Result<Self, toml::de::Error> {
        table.clone().try_into()
    }
}

fn invalid(layer: &str, cause: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::Invalid { layer: layer.to_owned(), cause: cause.to_string() }
}

/// What is wrong and where, without the line itself: a URL there may hold a password.
fn misread(text: &str, cause: &toml::de::Error) -> String {
    let before = cause.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, cause.message())
}

fn from_environment(
    defaults: &Table,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Table, ConfigError> {
    let mut layer = Table::new();
    let variables: BTreeMap<String, String> = environment
        .filter(|(name, _)| name.starts_with(PREFIX) && !NOT_CONFIGURATION.contains(&name.as_str()))
        .collect();
    for (name, value) in variables {
        let key = name.strip_prefix(PREFIX).unwrap_or(&name).to_lowercase();
        let path: Vec<&str> = key.split("__").collect();
        let one = nested(&path, typed(defaults, &path, &value));
        Config::deserialize_from(&one).map_err(|cause| invalid(&name, &cause.message()))?;
        merge(&mut layer, one);
    }
    Ok(layer)
}

/// The text as the kind of value that the key's default has; without a default, as text or number, whichever fits.
fn typed(defaults: &Table, path: &[&str], text: &str) -> Value {
    let plain = || Value::String(text.to_owned());
    match lookup(defaults, path) {
        Some(Value::Integer(_)) => text.parse().map_or_else(|_| plain(), Value::Integer),
        Some(Value::Boolean(_)) => text.parse().map_or_else(|_| plain(), Value::Boolean),
        Some(Value::Array(_)) => {
            Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect())
        }
        Some(_) => plain(),
        None => {
            let integer = text.parse().map(Value::Integer).ok();
            let number = text.parse().map(Value::Float).ok();
            let fits = |value: &Value| Config::deserialize_from(&nested(path, value.clone())).is_ok();
            integer.into_iter().chain(number).find(fits).unwrap_or_else(plain)
        }
    }
}

fn lookup<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Value> {
    let (first, rest) = path.split_first()?;
    let value = table.get(*first)?;
    match rest {
        [] => Some(value),
        _ => lookup(value.as_table()?, rest),
    }
}

fn nested(path: &[&str], value: Value) -> Table {
    let mut table = Table::new();
    if let Some((first, rest)) = path.split_first() {
        let value = if rest.is_empty() { value } else { Value::Table(nested(rest, value)) };
        table.insert((*first).to_owned(), value);
    }
    table
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(held)), Value::Table(given)) => merge(held, given),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "listen = '127.0.0.1:1'\nbus = 'nats://a'\n[deploy]\nparallel_runs = 3\n")
            .unwrap();
        let flags = Flags {
            config: Some(file.path().to_owned()),
            listen: Some("127.0.0.1:3".to_owned()),
            set: vec!["controller.software_version=25.09".to_owned()],
            ..Flags::default()
        };
        let variables = [("DCM_LISTEN", "127.0.0.1:2"), ("DCM_DEPLOY__LEASE_SECS", "7"), ("DCM_DEMO", "5")];
        let config = load(&flags, environment(&variables)).unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.bus, "nats://a");
        assert_eq!((config.deploy.parallel_runs, config.deploy.lease_secs), (3, 7));
        assert_eq!((config.demo, config.controller.software_version.as_str()), (Some(5), "25.09"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "listen = '127.0.0.1:1'\njournal = 'postgres://dcm:hidden@db' oops\n").unwrap();
        let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
        let said = load(&flags, environment(&[])).unwrap_err().to_string();
        assert!(said.contains("line 2") && !said.contains("hidden"), "{said}");
    }

    #[test]
    fn unknown_keys_are_refused_wherever_they_come_from() {
        let none = Flags::default();
        let wrong = load(&none, environment(&[("DCM_LISTENN", "x")])).unwrap_err();
        assert!(wrong.to_string().contains("DCM_LISTENN"));
        let value = load(&none, environment(&[("DCM_LISTEN", "here")])).unwrap_err().to_string();
        assert!(value.starts_with("DCM_LISTEN:"), "{value}");
        assert!(load(&none, environment(&[("DCM_DCM_LISTEN", "127.0.0.1:1")])).is_err());
        let set = Flags { set: vec!["deploy.nothing=1".to_owned()], ..Flags::default() };
        assert!(load(&set, environment(&[])).unwrap_err().to_string().contains("nothing"));
        load(&none, environment(&[("DCM_URL", "http://x"), ("DCM_ROLES", "api,cert-mon")])).unwrap();
    }

    #[test]
    fn a_password_comes_from_file_or_environment_and_is_not_shown() {
        let config = load(&Flags::default(), environment(&[("DCM_KEYSTONE__PASSWORD", "4711")])).unwrap();
        assert!(config.keystone.password.is_some());
        assert!(!format!("{config:?}").contains("4711"));
        let set = Flags { set: vec!["keystone.password=4711".to_owned()], ..Flags::default() };
        let said = load(&set, environment(&[])).unwrap_err().to_string();
        assert!(said.contains("keystone.password") && !said.contains("4711"), "{said}");
    }
}
