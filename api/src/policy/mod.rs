//! Who may do what: the rules of access.md §5, decided for every request before anything else of it is looked at.

pub mod check;
pub mod file;
mod remote;
pub mod rule;
mod rules;
mod sources;
mod store;

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::time::Duration;

use axum::extract::FromRequestParts;
use dcm_journal::repository::Meta;
use http::StatusCode;
use http::request::Parts;

use crate::app::App;
use crate::asker::Asker;
use crate::transport::{ApiError, Caller};
pub use check::Credentials;
pub use remote::RemoteError;
pub use rule::Rule;
pub use rules::{Entry, Origin, Rules};
pub use sources::{SourceError, Sources};
pub use store::Policy;

/// When a client may ask again whose request a remote check did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The caller may do what rule `R` guards. An extractor; put it before whatever reads the body.
///
/// 401 without a caller, 403 without a text if the policy refuses (access.md §5).
#[derive(Debug)]
pub struct Allowed<R> {
    /// What the events of the request's command record.
    pub meta: Meta,
    rule: PhantomData<R>,
}

impl<R: Rule> FromRequestParts<App> for Allowed<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        authorise::<R>(app, &caller).await?;
        let Asker(meta) = Asker::from_request_parts(parts, app).await?;
        Ok(Self { meta, rule: PhantomData })
    }
}

/// The caller may do what rule `A` or what rule `B` guards. An extractor for operations whose rule is only known from
/// the body: who may do neither is refused before the body is read; which of the two it is decides [`authorise`] then.
///
/// 401 without a caller, 403 without a text if the policy refuses both.
#[derive(Debug)]
pub struct AllowedEither<A, B> {
    /// What the events of the request's command record.
    pub meta: Meta,
    rules: PhantomData<(A, B)>,
}

impl<A: Rule, B: Rule> FromRequestParts<App> for AllowedEither<A, B> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let meta = match Allowed::<A>::from_request_parts(parts, app).await {
            Ok(allowed) => allowed.meta,
            Err(error) if error.status() == StatusCode::FORBIDDEN => {
                Allowed::<B>::from_request_parts(parts, app).await?.meta
            }
            Err(error) => return Err(error),
        };
        Ok(Self { meta, rules: PhantomData })
    }
}

/// A handler that answers 400 with `text` to those whom extractor `A` ([`Allowed`] or [`AllowedEither`]) lets pass, and
/// looks at nothing else of the request: for what a path leaves out, such as the reference on a collection
/// (decisions.md, "Reference missing").
pub(crate) fn refuse<A>(text: &'static str) -> impl FnOnce(A) -> Ready<ApiError> + Clone + Send + Sync {
    move |_| ready(ApiError::bad_request(text))
}

/// Refuses what rule `R` does not allow `caller`: for operations that are only known from the body (access.md §2).
///
/// # Errors
/// 403 without a text; 503 if a remote check of the rule gives no answer.
pub async fn authorise<R: Rule>(app: &App, caller: &Caller) -> Result<(), ApiError> {
    let credentials =
        Credentials { project_name: caller.names.project.as_deref(), roles: &caller.actor.roles };
    match app.policy().decide(R::NAME, credentials).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            metrics::counter!("dcm_policy_denials_total", "rule" => R::NAME).increment(1);
            Err(ApiError::forbidden())
        }
        Err(error) => {
            tracing::warn!(rule = R::NAME, %error, "not decided");
            Err(ApiError::unavailable("The policy cannot be decided now", RETRY_AFTER))
        }
    }
}
