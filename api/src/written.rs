//! The answer to a command: built from the state it decided, given after the read models show it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::{Subcloud, SubcloudEvent};
use dcm_domain::value::Timestamp;
use dcm_journal::repository::Done;
use serde_json::{Map, Value};

use crate::app::App;
use crate::error_map::defect;
use crate::freshness::{POSITION, STALE, set};
use crate::subclouds::render::{self, TimeForm, Times};
use crate::transport::ApiError;

/// Answers with the SUBCLOUD that `done` left, after `adjust` (subclouds.md §3.3: per-endpoint overrides).
///
/// # Errors
/// 500 if `done` has no subcloud, which a carried out command always has.
pub async fn subcloud(
    app: &App,
    done: &Done<Subcloud>,
    form: TimeForm,
    adjust: impl FnOnce(&mut Map<String, Value>),
) -> Result<Response, ApiError> {
    let Some(state) = done.loaded.state.as_deref() else {
        return Err(defect("a command left no subcloud", &std::io::Error::other("empty stream")));
    };
    let shown = wait(app, done).await;
    let mut body = render::subcloud(state, times(app, done, state).await, form);
    adjust(&mut body);
    Ok(marked(app, done, shown, Json(body).into_response()))
}

/// Answers with `body`: for commands whose answer is not the subcloud (`null`, `{"result": "OK"}`).
pub async fn body<A: Aggregate>(app: &App, done: &Done<A>, body: Value) -> Response {
    once_shown(app, done, Json(body).into_response()).await
}

/// Gives `response` once the read models show what the command left, with the headers of a write.
pub async fn once_shown<A: Aggregate>(app: &App, done: &Done<A>, response: Response) -> Response {
    let shown = wait(app, done).await;
    marked(app, done, shown, response)
}

/// Waits until the read models show what the command left. False if the wait was too short.
pub async fn wait<A: Aggregate>(app: &App, done: &Done<A>) -> bool {
    match done.position.or(done.loaded.position) {
        Some(position) => app.models().progress().wait(position.order, app.settings().wait).await,
        None => true,
    }
}

fn marked<A: Aggregate>(app: &App, done: &Done<A>, shown: bool, mut response: Response) -> Response {
    if let Some(position) = done.position.or(done.loaded.position) {
        set(&mut response, POSITION, &position.to_string());
    }
    if !shown {
        metrics::counter!("dcm_http_stale_answers_total").increment(1);
        tracing::debug!(wait = ?app.settings().wait, "the read models do not show a write in time");
        set(&mut response, STALE, "true");
    }
    response
}

/// `created-at` and `updated-at` after the command. What the command's own events do not tell, the row does.
async fn times(app: &App, done: &Done<Subcloud>, state: &Subcloud) -> Times {
    let changed_at = done.loaded.changed_at();
    let imported = state.imported.and_then(|times| times.created_at);
    let created_at = imported.or(done.loaded.created_at).unwrap_or(changed_at);
    if done.events.iter().any(|event| matches!(event, SubcloudEvent::SubcloudAdded(_))) {
        return Times { created_at, updated_at: None };
    }
    if done.events.iter().any(SubcloudEvent::changes_row) {
        return Times { created_at, updated_at: Some(changed_at) };
    }
    Times { created_at, updated_at: updated_at(app, state).await.unwrap_or(Some(changed_at)) }
}

/// `updated-at` of the row; `None` if it cannot be read.
async fn updated_at(app: &App, state: &Subcloud) -> Option<Option<Timestamp>> {
    let row = app.models().subclouds().by_id(state.id).await.ok()??;
    Some(row.updated_at)
}

/// Does `work` in a task of its own, so that a client that goes away, or a time limit, does not stop it half-way.
///
/// # Errors
/// Those of `work`; 500 if it panics.
pub async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    let work = tracing::Instrument::in_current_span(work);
    tokio::spawn(work).await.unwrap_or_else(|error| Err(defect("a command's task ended early", &error)))
}
