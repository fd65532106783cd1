//! Identity by tokens that Keystone knows (access.md §3.2).

mod access_rules;
mod cache;
mod client;
mod document;
mod own;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use dcm_domain::value::Secret;
use http::{HeaderMap, HeaderValue, header};
use tokio::sync::Semaphore;

use self::cache::{Found, NoAnswer, TokenCache};
use self::client::{Answer, KeystoneClient, Outage};
use self::document::Identity;
use self::own::Own;
use super::{Caller, Question, invalid, required};
use crate::transport::error::ApiError;

pub use client::SetupError;
pub use settings::{Credentials, KeystoneSettings};

/// How long a client is asked to wait when Keystone is out: it is asked again at once when it is back.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Questions to Keystone at once: made-up tokens must not flood it.
const QUESTIONS: usize = 32;

/// Identifies callers by their tokens. Prints no token and no password.
#[derive(Debug)]
pub struct Keystone {
    client: KeystoneClient,
    own: Own,
    cache: TokenCache,
    places: Semaphore,
    patience: Duration,
    challenge: HeaderValue,
    service_token_roles: Vec<String>,
    service_type: String,
    is_out: AtomicBool,
}

impl Keystone {
    /// Sets up by `settings`; Keystone is first asked with the first token.
    ///
    /// # Errors
    /// [`SetupError`] if a setting cannot be used.
    pub fn new(settings: KeystoneSettings) -> Result<Self, SetupError> {
        let challenge = format!("Keystone uri=\"{}\"", settings.www_authenticate_uri);
        let challenge = HeaderValue::try_from(challenge).map_err(|_| SetupError::AuthenticateUri)?;
        let client = KeystoneClient::new(&settings)?;
        Ok(Self {
            client,
            own: Own::default(),
            cache: TokenCache::new(settings.cache_size, settings.cache_time),
            places: Semaphore::new(QUESTIONS),
            patience: settings.timeout,
            challenge,
            service_token_roles: settings.service_token_roles,
            service_type: settings.service_type,
            is_out: AtomicBool::new(false),
        })
    }

    /// The caller that a request's token stands for. Identity headers of the client are not looked at.
    ///
    /// # Errors
    /// 401 with `WWW-Authenticate` without a valid token; 503 with `Retry-After` when Keystone cannot be asked.
    pub async fn identify(&self, question: &Question<'_>) -> Result<Caller, ApiError> {
        let token = token(question.headers, ["x-auth-token", "x-storage-token"]);
        let token = token.ok_or_else(|| self.refusal(required()))?;
        let service = self.service_vouches(question.headers).await?;
        let found = self.look_up(&token, service).await?;
        let identity = found.at(Utc::now(), service).filter(|identity| {
            // A service acts on behalf of a user whose rules it has looked at itself.
            let rules = identity.access_rules.as_ref().filter(|_| !service);
            rules.is_none_or(|rules| rules.permit(&self.service_type, question.method, question.path))
        });
        identity.map(|identity| identity.caller.clone()).ok_or_else(|| self.refusal(invalid()))
    }

    /// How long an answer about a token counts.
    pub fn counts_for(&self) -> Duration {
        self.cache.time()
    }

    /// Whether the program can get a token of its own.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<(), String> {
        self.own.token(&self.client, None).await.map(drop).map_err(|outage| outage.to_string())
    }

    /// Whether a valid token of a service stands beside the user's. One that is not valid changes nothing.
    async fn service_vouches(&self, headers: &HeaderMap) -> Result<bool, ApiError> {
        let Some(token) = token(headers, ["x-service-token"; 2]) else { return Ok(false) };
        let found = self.look_up(&token, false).await?;
        let has_role = |identity: &Arc<Identity>| {
            identity.caller.actor.roles.iter().any(|role| self.service_token_roles.contains(role))
        };
        Ok(found.at(Utc::now(), false).is_some_and(has_role))
    }

    async fn look_up(&self, token: &Secret, expired_too: bool) -> Result<Found, ApiError> {
        if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Found::Invalid);
        }
        let found = self.cache.get(token, expired_too, self.ask(token, expired_too)).await;
        found.or_else(|why| match why.as_ref() {
            NoAnswer::Unreadable => Ok(Found::Invalid),
            NoAnswer::Outage(_) => {
                Err(ApiError::unavailable("the identity service is not available", RETRY_AFTER))
            }
        })
    }

    async fn ask(&self, token: &Secret, expired_too: bool) -> Result<Found, NoAnswer> {
        let asked = Instant::now();
        let answer = self.ask_in_turn(token, expired_too).await;
        metrics::histogram!("dcm_keystone_validation_seconds").record(asked.elapsed().as_secs_f64());
        let outcome = match &answer {
            Ok(Answer::Valid(_)) => "valid",
            Ok(Answer::Invalid | Answer::Unreadable) => "invalid",
            Ok(Answer::Refused) | Err(_) => "failed",
        };
        metrics::counter!("dcm_keystone_validations_total", "outcome" => outcome).increment(1);
        let answer = answer.and_then(|answer| match answer {
            Answer::Refused => Err(Outage("the service user's new token is refused".to_owned())),
            answer => Ok(answer),
        });
        self.note(answer.as_ref().err());
        match answer? {
            Answer::Valid(identity) => Ok(Found::Valid(Arc::from(identity))),
            Answer::Invalid => Ok(Found::Invalid),
            Answer::Unreadable | Answer::Refused => Err(NoAnswer::Unreadable),
        }
    }

    async fn ask_in_turn(&self, token: &Secret, expired_too: bool) -> Result<Answer, Outage> {
        let place = tokio::time::timeout(self.patience, self.places.acquire()).await;
        let _place = place.map_err(|_| Outage("too many tokens to be validated at once".to_owned()))?;
        let own = self.own.token(&self.client, None).await?;
        match self.client.validate(&own, token, expired_too).await? {
            Answer::Refused => {
                let renewed = self.own.token(&self.client, Some(&own)).await?;
                self.client.validate(&renewed, token, expired_too).await
            }
            answer => Ok(answer),
        }
    }

    /// Logs the beginning and the end of an outage, not each of its requests.
    fn note(&self, outage: Option<&Outage>) {
        let was_out = self.is_out.swap(outage.is_some(), Ordering::Relaxed);
        match outage {
            Some(outage) if !was_out => tracing::error!(%outage, "Keystone cannot be asked"),
            None if was_out => tracing::info!("Keystone answers again"),
            _ => {}
        }
    }

    fn refusal(&self, error: ApiError) -> ApiError {
        error.with_header(header::WWW_AUTHENTICATE, self.challenge.clone())
    }
}

/// The token in the first of the headers that is there, without blanks around it; `None` if nothing is left.
///
/// Bytes that no token has stay ones that no token has.
fn token(headers: &HeaderMap, names: [&str; 2]) -> Option<Secret> {
    let value = names.into_iter().find_map(|name| headers.get(name))?;
    let text = String::from_utf8_lossy(value.as_bytes());
    let text = text.trim();
    (!text.is_empty()).then(|| Secret::new(text.to_owned()))
}
