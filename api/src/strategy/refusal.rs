//! Which strategy is meant, and why a command on it is refused (fleet.md §8.7).

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use dcm_domain::strategy::{Rejection, StrategyType, SwUpdateStrategy};
use dcm_journal::repository::{CommandError, Done};
use serde::Deserialize;
use utoipa::IntoParams;

use super::render::StrategyBody;
use crate::app::App;
use crate::error_map::defect;
use crate::transport::ApiError;
use crate::written;

/// When a client may try again after the platform did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How much of a client's text an error repeats, in characters.
const LONGEST_QUOTE: usize = 64;

/// Which strategy is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TypeQuery {
    /// Only a strategy of this type is meant.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    kind: Option<String>,
}

impl TypeQuery {
    /// The type asked for; `None` if any is meant.
    pub(super) fn text(&self) -> Option<&str> {
        self.kind.as_deref().filter(|kind| !kind.is_empty())
    }

    /// The type asked for, for a command `verb`.
    ///
    /// # Errors
    /// 422 for a word that is no type: there is no such strategy.
    pub(super) fn kind(&self, verb: &str) -> Result<Option<StrategyType>, ApiError> {
        let Some(text) = self.text() else { return Ok(None) };
        match StrategyType::parse(text) {
            Some(kind) => Ok(Some(kind)),
            None => Err(refused(verb, Some(text), CommandError::Rejected(Rejection::NotFound))),
        }
    }
}

/// What is told of a command `verb` on a strategy of type `kind` that was not carried out.
pub(super) fn refused(verb: &str, kind: Option<&str>, error: CommandError<Rejection>) -> ApiError {
    let of_type = kind.map(|kind| format!(" of type '{}'", quoted(kind))).unwrap_or_default();
    match error {
        CommandError::Rejected(Rejection::PlatformFailed(why)) => ApiError::unavailable(why, RETRY_AFTER),
        CommandError::Unavailable(cause) => cause.into(),
        CommandError::Rejected(_) | CommandError::IdReused => {
            ApiError::unprocessable(format!("Unable to {verb} strategy{of_type}: {error}"))
        }
    }
}

/// The first characters of a client's text, control characters replaced.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(LONGEST_QUOTE).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Answers with the strategy that `done` left, once the read models show it.
///
/// # Errors
/// 500 if `done` left none, which these commands always do.
pub(super) async fn answer(app: &App, done: &Done<SwUpdateStrategy>) -> Result<Response, ApiError> {
    let strategy = done.loaded.state.as_deref().and_then(|state| state.current.as_ref());
    let strategy = strategy
        .ok_or_else(|| defect("a command left no strategy", &std::io::Error::other("empty stream")))?;
    let response = Json(StrategyBody::from(strategy)).into_response();
    Ok(written::once_shown(app, done, response).await)
}
