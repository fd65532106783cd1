//! How Keystone is reached and how long its answers count.

use std::time::Duration;

use dcm_domain::value::Secret;

/// Who the program itself is in Keystone.
#[derive(Debug)]
pub struct Credentials {
    /// Name of the service user.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// Name of its domain.
    pub user_domain_name: String,
    /// Name of the project its token is for.
    pub project_name: String,
    /// Name of that project's domain.
    pub project_domain_name: String,
}

/// How Keystone is reached and how long its answers count (the options of `[keystone_authtoken]`, access.md §3.2).
#[derive(Debug)]
pub struct KeystoneSettings {
    /// Base URL, with or without `/v3`.
    pub auth_url: String,
    /// What a client that is refused is told to ask.
    pub www_authenticate_uri: String,
    /// The program's own identity.
    pub credentials: Credentials,
    /// Region of the identity endpoint that validates tokens; any if not given.
    pub region_name: Option<String>,
    /// Interface of that endpoint: `internal`, `public` or `admin`.
    pub interface: String,
    /// Further authorities that Keystone's certificate may come from, in PEM.
    pub authorities: Option<Vec<u8>>,
    /// Takes any certificate. For laboratories.
    pub insecure: bool,
    /// How long one request to Keystone may take.
    pub timeout: Duration,
    /// How long an answer about a token counts; also the longest that a revoked token is honoured.
    pub cache_time: Duration,
    /// How many answers are kept.
    pub cache_size: u64,
    /// Roles of which a service token needs one, for an expired user token beside it to count.
    pub service_token_roles: Vec<String>,
    /// What access rules of application credentials call this service.
    pub service_type: String,
}

impl KeystoneSettings {
    /// The usual settings for the Keystone at `auth_url`.
    pub fn new(auth_url: impl Into<String>, credentials: Credentials) -> Self {
        let auth_url = auth_url.into();
        Self {
            www_authenticate_uri: auth_url.clone(),
            auth_url,
            credentials,
            region_name: None,
            interface: "internal".to_owned(),
            authorities: None,
            insecure: false,
            timeout: Duration::from_secs(10),
            cache_time: Duration::from_secs(300),
            cache_size: 10_000,
            service_token_roles: vec!["service".to_owned()],
            service_type: "dcmanager".to_owned(),
        }
    }
}
