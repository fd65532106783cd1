//! The two requests that are sent to Keystone: for a token of the program's own, and about a caller's token.

use std::time::Duration;

use chrono::Utc;
use dcm_domain::value::Secret;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use reqwest::{Certificate, Client, RequestBuilder, Response, redirect};
use serde_json::json;

use super::document::{Document, Identity};
use super::settings::{Credentials, KeystoneSettings};

/// Longest answer that is read, in bytes: a token with the catalog of a large cloud.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");
/// Promises that access rules are held to; without it Keystone does not answer for restricted tokens.
const ACCESS_RULES: HeaderName = HeaderName::from_static("openstack-identity-access-rules");

/// Why a client of Keystone cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The URL is none, or of another kind than http and https.
    #[error("{url}: not an http or https URL")]
    Url {
        /// What was given.
        url: String,
    },
    /// The text cannot stand in a header.
    #[error("www_authenticate_uri cannot stand in a header")]
    AuthenticateUri,
    /// The authorities are no PEM certificates, or TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(reqwest::Error),
}

/// Keystone cannot be asked, or gives no answer that says anything. The text is for the log.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Outage(pub String);

/// A token of the program's own. Prints no token.
#[derive(Debug)]
pub struct OwnToken {
    token: HeaderValue,
    /// Where tokens are validated, with `/v3`.
    endpoint: String,
    /// How long it lasts from now on.
    pub lifetime: Duration,
}

/// What Keystone says about a caller's token.
#[derive(Debug)]
pub enum Answer {
    /// It stands for somebody.
    Valid(Box<Identity>),
    /// It stands for nobody (any more).
    Invalid,
    /// It cannot even be asked about.
    Unreadable,
    /// The program's own token is not taken.
    Refused,
}

/// Sends requests to one Keystone.
#[derive(Debug)]
pub struct KeystoneClient {
    http: Client,
    base: String,
    /// The body of the request for a token, which holds the password.
    login: Secret,
    region: Option<String>,
    interface: String,
}

impl KeystoneClient {
    /// A client by `settings`; nothing is sent yet.
    ///
    /// # Errors
    /// [`SetupError`] if a setting cannot be used.
    pub fn new(settings: &KeystoneSettings) -> Result<Self, SetupError> {
        // A proxy, or whoever a redirect points at, would be handed tokens.
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(settings.timeout)
            .danger_accept_invalid_certs(settings.insecure);
        if let Some(pem) = &settings.authorities {
            for authority in Certificate::from_pem_bundle(pem).map_err(SetupError::Tls)? {
                builder = builder.add_root_certificate(authority);
            }
        }
        Ok(Self {
            http: builder.build().map_err(SetupError::Tls)?,
            base: versioned(&settings.auth_url)?,
            login: login(&settings.credentials),
            region: settings.region_name.clone(),
            interface: settings.interface.clone(),
        })
    }

    /// Gets a token for the program itself.
    ///
    /// # Errors
    /// [`Outage`], also when Keystone refuses the credentials.
    pub async fn authenticate(&self) -> Result<OwnToken, Outage> {
        let url = format!("{}/auth/tokens", self.base);
        let request = self.http.post(url).header(CONTENT_TYPE, "application/json");
        let response = sent(request.body(self.login.expose().to_owned())).await?;
        if response.status() != StatusCode::CREATED {
            return Err(Outage(format!("no token for the service user: {}", response.status())));
        }
        let mut token = response.headers().get(&SUBJECT_TOKEN).cloned().ok_or_else(unclear)?;
        token.set_sensitive(true);
        let document = read(response).await?;
        let found = document.identity_endpoint(&self.interface, self.region.as_deref());
        let endpoint = found.and_then(|url| versioned(url).ok()).unwrap_or_else(|| self.base.clone());
        let lifetime = document.lifetime(Utc::now()).to_std().unwrap_or_default();
        Ok(OwnToken { token, endpoint, lifetime })
    }

    /// Asks whom `token` stands for; one that has expired too, if `expired_too`.
    ///
    /// # Errors
    /// [`Outage`].
    pub async fn validate(
        &self,
        own: &OwnToken,
        token: &Secret,
        expired_too: bool,
    ) -> Result<Answer, Outage> {
        let Ok(mut subject) = HeaderValue::from_str(token.expose()) else {
            return Ok(Answer::Unreadable);
        };
        subject.set_sensitive(true);
        // Nobody here looks at the caller's catalog.
        let expired = if expired_too { "&allow_expired=1" } else { "" };
        let request = self
            .http
            .get(format!("{}/auth/tokens?nocatalog{expired}", own.endpoint))
            .header(AUTH_TOKEN, own.token.clone())
            .header(SUBJECT_TOKEN, subject)
            .header(ACCESS_RULES, HeaderValue::from_static("1"));
        let response = sent(request).await?;
        match response.status() {
            StatusCode::OK => Ok(Answer::Valid(Box::new(read(response).await?.identity()))),
            StatusCode::NOT_FOUND => Ok(Answer::Invalid),
            StatusCode::UNAUTHORIZED => Ok(Answer::Refused),
            // What stands in front of Keystone may not let such a header pass.
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Ok(Answer::Unreadable),
            status => Err(Outage(format!("a token cannot be validated: {status}"))),
        }
    }
}

fn login(credentials: &Credentials) -> Secret {
    let Credentials { username, password, user_domain_name, project_name, project_domain_name } = credentials;
    let user = json!({
        "name": username, "password": password.expose(), "domain": {"name": user_domain_name},
    });
    let scope = json!({"project": {"name": project_name, "domain": {"name": project_domain_name}}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    Secret::new(json!({"auth": {"identity": identity, "scope": scope}}).to_string())
}

/// The URL with the version of the API at its end.
fn versioned(url: &str) -> Result<String, SetupError> {
    let refused = || SetupError::Url { url: url.to_owned() };
    let parsed = reqwest::Url::parse(url).map_err(|_| refused())?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(refused());
    }
    let base = url.trim_end_matches('/');
    let base = ["/v3", "/v2.0"].into_iter().find_map(|version| base.strip_suffix(version)).unwrap_or(base);
    Ok(format!("{base}/v3"))
}

async fn sent(request: RequestBuilder) -> Result<Response, Outage> {
    request.send().await.map_err(|error| {
        let error = error.without_url();
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        let said = causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"));
        Outage(format!("no answer: {said}"))
    })
}

async fn read(mut response: Response) -> Result<Document, Outage> {
    let mut body = Vec::new();
    let broken = |_| Outage("the answer broke off".to_owned());
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if chunk.len() > LONGEST_ANSWER - body.len() {
            return Err(Outage(format!("the answer is over {LONGEST_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|_| unclear())
}

fn unclear() -> Outage {
    Outage("the answer is not a token's document".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn any_base_ends_in_the_version() {
        for url in ["http://h:5000", "http://h:5000/", "http://h:5000/v3", "http://h:5000/v2.0/"] {
            assert_eq!(versioned(url).unwrap(), "http://h:5000/v3");
        }
        assert_eq!(versioned("https://h/identity/v3/").unwrap(), "https://h/identity/v3");
        for wrong in ["", "h:5000", "file:///etc", "ftp://h"] {
            assert!(versioned(wrong).is_err(), "{wrong}");
        }
    }
}
