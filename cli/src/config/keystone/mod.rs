//! How Keystone is reached: this configuration's own keys, over the `[keystone_authtoken]` section of an INI file.

mod ini;
mod password;

use std::path::PathBuf;
use std::time::Duration;

use dcm_api::transport::{Credentials, KeystoneSettings};
use dcm_domain::value::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Finding;
use ini::Section;
pub use password::Password;

/// How Keystone is reached (`--auth keystone`). What is not given here is taken from `config_file`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Keystone {
    /// An INI file whose `[keystone_authtoken]` section is read, such as `/etc/dcmanager/dcmanager.conf`.
    pub config_file: Option<PathBuf>,
    /// Base URL, with or without `/v3`.
    pub auth_url: Option<String>,
    /// What a client that is refused is told to ask; `auth_url` if not given.
    pub www_authenticate_uri: Option<String>,
    /// Name of the service user.
    pub username: Option<String>,
    /// Its password. Never shown; not taken from the command line.
    pub password: Option<Password>,
    /// File that holds the password instead; a line end after it does not count.
    pub password_file: Option<PathBuf>,
    /// Name of the service user's domain [default: Default].
    pub user_domain_name: Option<String>,
    /// Name of the project that the service user's token is for.
    pub project_name: Option<String>,
    /// Name of that project's domain [default: Default].
    pub project_domain_name: Option<String>,
    /// Region of the identity endpoint that validates tokens; any if not given.
    pub region_name: Option<String>,
    /// Interface of that endpoint: `internal`, `public` or `admin` [default: internal].
    pub interface: Option<String>,
    /// File of further certificate authorities, in PEM.
    pub cafile: Option<PathBuf>,
    /// Takes any certificate of Keystone. For laboratories.
    pub insecure: Option<bool>,
    /// How long an answer about a token counts, in seconds; the longest that a revoked token is honoured [default: 300].
    pub token_cache_time: Option<u64>,
    /// How many answers are kept [default: 10000].
    pub cache_size: Option<u64>,
    /// How long one request to Keystone may take, in seconds [default: 10].
    pub timeout_secs: Option<u64>,
    /// Roles of which a service token needs one, for an expired user token beside it to count [default: service].
    pub service_token_roles: Option<Vec<String>>,
    /// What access rules of application credentials call this service [default: dcmanager].
    pub service_type: Option<String>,
}

impl Keystone {
    /// The settings that this amounts to. Reads files.
    ///
    /// # Errors
    /// What is missing or cannot be read; no password is in it.
    pub fn settings(&self) -> Result<KeystoneSettings, Finding> {
        let section = match &self.config_file {
            Some(path) => Section::read(path).map_err(|problem| found("keystone.config_file", problem))?,
            None => Section::default(),
        };
        let text = |given: &Option<String>, key| given.clone().or_else(|| section.text(key));
        let needed = |given: &Option<String>, key: &'static str, name| {
            text(given, name).ok_or_else(|| found(key, "is needed with --auth keystone".to_owned()))
        };
        let auth_url = needed(&self.auth_url, "keystone.auth_url", "auth_url")?;
        let domain = |given, key| text(given, key).unwrap_or_else(|| "Default".to_owned());
        let credentials = Credentials {
            username: needed(&self.username, "keystone.username", "username")?,
            password: self.password(&section)?,
            user_domain_name: domain(&self.user_domain_name, "user_domain_name"),
            project_name: needed(&self.project_name, "keystone.project_name", "project_name")?,
            project_domain_name: domain(&self.project_domain_name, "project_domain_name"),
        };
        let usual = KeystoneSettings::new(auth_url, credentials);
        let seconds = |given: Option<u64>, key, usual: Duration| {
            given.or_else(|| section.number(key)).map_or(usual, Duration::from_secs)
        };
        Ok(KeystoneSettings {
            www_authenticate_uri: text(&self.www_authenticate_uri, "www_authenticate_uri")
                .or_else(|| section.text("auth_uri"))
                .unwrap_or_else(|| usual.www_authenticate_uri.clone()),
            region_name: text(&self.region_name, "region_name"),
            interface: text(&self.interface, "interface").unwrap_or_else(|| usual.interface.clone()),
            authorities: self.authorities(&section)?,
            insecure: self.insecure.unwrap_or_else(|| section.flag("insecure")),
            timeout: seconds(self.timeout_secs, "http_connect_timeout", usual.timeout),
            cache_time: seconds(self.token_cache_time, "token_cache_time", usual.cache_time),
            cache_size: self.cache_size.unwrap_or(usual.cache_size),
            service_token_roles: self
                .service_token_roles
                .clone()
                .or_else(|| section.list("service_token_roles"))
                .unwrap_or_else(|| usual.service_token_roles.clone()),
            service_type: text(&self.service_type, "service_type")
                .unwrap_or_else(|| usual.service_type.clone()),
            ..usual
        })
    }

    fn password(&self, section: &Section) -> Result<Secret, Finding> {
        if let Some(password) = &self.password {
            return Ok(password.secret());
        }
        if let Some(path) = &self.password_file {
            let bytes = std::fs::read(path)
                .map_err(|error| found("keystone.password_file", format!("{}: {error}", path.display())))?;
            let text = Secret::from_bytes(bytes)
                .map_err(|error| found("keystone.password_file", format!("{}: {error}", path.display())))?;
            return Ok(Secret::new(text.expose().trim_end_matches(['\r', '\n']).to_owned()));
        }
        section.text("password").map(Secret::new).ok_or_else(|| {
            let problem =
                "is needed with --auth keystone: in the file, in DCM_KEYSTONE__PASSWORD, or password_file";
            found("keystone.password", problem.to_owned())
        })
    }

    fn authorities(&self, section: &Section) -> Result<Option<Vec<u8>>, Finding> {
        let path = self.cafile.clone().or_else(|| section.text("cafile").map(PathBuf::from));
        let read = |path: PathBuf| {
            std::fs::read(&path)
                .map_err(|error| found("keystone.cafile", format!("{}: {error}", path.display())))
        };
        path.map(read).transpose()
    }
}

fn found(key: &'static str, problem: String) -> Finding {
    Finding { key, problem }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const INI: &str = "\
[DEFAULT]
auth_strategy = keystone
[keystone_authtoken]
# the platform's own
auth_url = http://192.168.204.1:5000
www_authenticate_uri=http://192.168.204.1:5000
username : dcmanager
password = Li69#n;u$$x*=\\%
project_name = services
interface = admin
token_cache_time = 60
service_token_roles = service, other
insecure = False
memcached_servers = localhost:11211
[other]
password = no
";

    fn ini(text: &str) -> (tempfile::NamedTempFile, Keystone) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        let config_file = Some(file.path().to_owned());
        (file, Keystone { config_file, ..Keystone::default() })
    }

    #[test]
    fn an_existing_file_is_enough() {
        let (_file, config) = ini(INI);
        let settings = config.settings().unwrap();
        assert_eq!(settings.auth_url, "http://192.168.204.1:5000");
        assert_eq!(settings.credentials.username, "dcmanager");
        assert_eq!(settings.credentials.password.expose(), "Li69#n;u$x*=\\%");
        assert_eq!(settings.credentials.user_domain_name, "Default");
        assert_eq!((settings.interface.as_str(), settings.cache_time), ("admin", Duration::from_secs(60)));
        assert_eq!(settings.service_token_roles, ["service", "other"]);
        assert!(!settings.insecure && settings.region_name.is_none());
    }

    #[test]
    fn own_keys_win_over_the_file() {
        let (_file, config) = ini(INI);
        let given: Keystone =
            toml::from_str("username = 'me'\npassword = 'mine'\ntoken_cache_time = 5\n").unwrap();
        let settings = Keystone { config_file: config.config_file, ..given }.settings().unwrap();
        assert_eq!(settings.credentials.username, "me");
        assert_eq!(settings.credentials.password.expose(), "mine");
        assert_eq!(settings.cache_time, Duration::from_secs(5));
        assert_eq!(settings.credentials.project_name, "services");
    }

    #[test]
    fn what_is_missing_is_named() {
        let key = |config: &Keystone| config.settings().unwrap_err().key;
        assert_eq!(key(&Keystone::default()), "keystone.auth_url");
        let (_file, config) = ini(&INI.replace("password = Li69", "x = y"));
        assert_eq!(key(&config), "keystone.password");
        let gone = Keystone { config_file: Some("/nowhere/dcmanager.conf".into()), ..Keystone::default() };
        assert_eq!(key(&gone), "keystone.config_file");
        let (_file, config) = ini("[DEFAULT]\npassword = hidden\n[broken\n");
        let said = config.settings().unwrap_err().to_string();
        assert!(said.starts_with("keystone.config_file") && !said.contains("hidden"), "{said}");
    }

    #[test]
    fn the_password_may_be_a_file_of_its_own_and_is_never_printed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "s3cret \n").unwrap();
        let (_ini, config) = ini(INI);
        let config = Keystone { password_file: Some(file.path().to_owned()), ..config };
        assert_eq!(config.settings().unwrap().credentials.password.expose(), "s3cret ");
        let given: Keystone = toml::from_str("password = 's3cret'").unwrap();
        assert!(!format!("{given:?}{}", toml::to_string(&given).unwrap()).contains("s3cret"));
        assert!(!toml::from_str::<Keystone>("password = 4711").unwrap_err().to_string().contains("`4711`"));
    }
}
