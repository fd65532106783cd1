//! Who is asking. One seam: every mode ends in a [`Caller`] among the request's extensions.

mod headers;
mod keystone;
mod none;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use dcm_domain::value::Actor;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, Method};
use tower::{Layer, Service};

use super::audit::Record;
use super::error::ApiError;
use super::negotiation::Accept;

pub use keystone::{Credentials, Keystone, KeystoneSettings, SetupError};

/// The confirmed identity of a request, as events record it. An extractor; 401 where no authentication layer ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User, project and roles, as events record them. Shared: a request passes it on several times.
    pub actor: Arc<Actor>,
    /// Names, which only policy and the audit log use: events never hold them.
    pub names: Arc<CallerNames>,
}

/// Display names of a caller; absent where the token has none (access.md §3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerNames {
    /// Name of the user.
    pub user: Option<String>,
    /// Name of the user's domain.
    pub user_domain: Option<String>,
    /// Name of the project: what policy compares.
    pub project: Option<String>,
    /// Name of the project as the audit log shows it, where it is told apart (access.md §10).
    pub tenant: Option<String>,
}

/// How callers are identified; chosen by configuration.
#[derive(Clone, Debug, Default)]
pub enum Authentication {
    /// Everyone is the administrator `anonymous` of project `admin` (design §10, `--auth none`).
    #[default]
    None,
    /// A trusted proxy in front says who it is, in headers (access.md §3.4).
    Headers,
    /// A token that Keystone knows (access.md §3.2).
    Keystone(Arc<Keystone>),
}

/// What of a request an identity may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'r> {
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// Its method.
    pub method: &'r Method,
    /// Its path in the routes' spelling, without the query.
    pub path: &'r str,
}

impl Authentication {
    /// How long a caller is believed, if not for ever.
    fn believed_for(&self) -> Option<BelievedFor> {
        match self {
            Self::None | Self::Headers => None,
            Self::Keystone(keystone) => Some(BelievedFor(keystone.counts_for())),
        }
    }

    /// The caller behind a request.
    ///
    /// # Errors
    /// 401 when the identity is not confirmed, 403 when a trusted proxy names no role, 503 when the identity service
    /// cannot be asked.
    pub async fn identify(&self, question: &Question<'_>) -> Result<Caller, ApiError> {
        match self {
            Self::None => Ok(none::anonymous()),
            Self::Headers => headers::identify(question.headers),
            // In a box: its size would be that of every request's future.
            Self::Keystone(keystone) => Box::pin(keystone.identify(question)).await,
        }
    }
}

/// How long an identity may be believed without being asked for again. A request extension, absent where it never
/// ends; for answers that have no end of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BelievedFor(pub Duration);

/// 401: there is nothing to identify the caller by (subclouds.md §1.2).
fn required() -> ApiError {
    ApiError::unauthorized("Failed to validate access token: Authentication required")
}

/// 401: there is a token, and it is worth nothing. The text never holds the token (A-Q12).
fn invalid() -> ApiError {
    ApiError::unauthorized("Failed to validate access token: Auth token is invalid")
}

/// Layer: identifies the caller of a known path and hands the [`Caller`] on.
#[derive(Clone, Debug)]
pub struct Identify {
    authentication: Authentication,
    is_json: bool,
}

impl Identify {
    /// For answers of any kind.
    pub const fn of_any(authentication: Authentication) -> Self {
        Self { authentication, is_json: false }
    }

    /// For answers that are JSON: 406 comes before 401.
    pub const fn for_json(authentication: Authentication) -> Self {
        Self { authentication, is_json: true }
    }

    async fn identify(&self, mut request: Request) -> Result<Request, ApiError> {
        if self.is_json {
            Accept::require_json(request.headers())?;
        }
        let question =
            Question { headers: request.headers(), method: request.method(), path: request.uri().path() };
        let caller = self.authentication.identify(&question).await?;
        if let Some(record) = request.extensions().get::<Record>() {
            record.identified(&caller);
        }
        request.extensions_mut().insert(caller);
        if let Some(bound) = self.authentication.believed_for() {
            request.extensions_mut().insert(bound);
        }
        Ok(request)
    }
}

impl<S> Layer<S> for Identify {
    type Service = Identified<S>;

    fn layer(&self, inner: S) -> Identified<S> {
        Identified { identify: self.clone(), inner }
    }
}

/// A service whose callers are identified.
#[derive(Clone, Debug)]
pub struct Identified<S> {
    identify: Identify,
    inner: S,
}

impl<S> Service<Request> for Identified<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that is ready goes on; the clone may not be ready yet.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let identify = self.identify.clone();
        async move {
            match identify.identify(request).await {
                Ok(request) => inner.call(request).await,
                Err(error) => Ok(error.into_response()),
            }
        }
        .boxed()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(required)
    }
}
