//! What one request may cost.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::Semaphore;

use super::error::ApiError;
use super::form::FormLimits;

/// How long a client turned away for lack of room is asked to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Upper bounds on requests. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Names and values of all headers together; over it 431.
    pub header_bytes: usize,
    /// Path and query; over it 414.
    pub target_bytes: usize,
    /// The body as sent; over it 413.
    pub body_bytes: usize,
    /// From the end of the headers to the answer, reading the body included; after it 503.
    pub request_time: Duration,
    /// Requests in work at once; one more gets 503 at once instead of a place in a queue.
    pub concurrent_requests: usize,
    /// Bounds on forms.
    pub form: FormLimits,
    /// The body of an upload that is not kept in memory, as sent; over it 413.
    pub upload_bytes: usize,
    /// As `request_time`, of such an upload.
    pub upload_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 64 * 1024,
            target_bytes: 16 * 1024,
            body_bytes: 64 * 1024 * 1024,
            request_time: Duration::from_secs(60),
            concurrent_requests: 1024,
            form: FormLimits::default(),
            upload_bytes: 1024 * 1024 * 1024,
            upload_time: Duration::from_secs(600),
        }
    }
}

/// The resource whose uploads go straight to files (subclouds.md §8.1).
const UPLOADS: &str = "subcloud-deploy";

impl Limits {
    /// Bytes and time that `request` may take, and the bounds on its form.
    fn of(&self, request: &Request) -> (usize, Duration, FormLimits) {
        let is_upload = request.method() == Method::POST && is_uploads(request.uri().path());
        match is_upload {
            true => {
                let most = self.upload_bytes;
                (most, self.upload_time, FormLimits { field_bytes: most, total_bytes: most, ..self.form })
            }
            false => (self.body_bytes, self.request_time, self.form),
        }
    }
}

/// Whether `path` is that resource's: nothing else that ends like it may be as large.
fn is_uploads(path: &str) -> bool {
    let mut segments = path.trim_matches('/').split('/');
    segments.next().is_some() && segments.next() == Some(UPLOADS) && segments.next().is_none()
}

/// Bounds the size of the request's head.
///
/// # Errors
/// 414 and 431.
pub fn bound_head(limits: &Limits, request: &Request) -> Result<(), ApiError> {
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > limits.target_bytes) {
        return Err(ApiError::bare(StatusCode::URI_TOO_LONG));
    }
    let bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > limits.header_bytes {
        return Err(ApiError::bare(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    Ok(())
}

/// The places for requests in work, shared by all connections.
#[derive(Clone, Debug)]
pub struct Gate {
    limits: Limits,
    places: Arc<Semaphore>,
}

impl Gate {
    /// A gate with `limits.concurrent_requests` free places.
    pub fn new(limits: Limits) -> Self {
        let places = Arc::new(Semaphore::new(limits.concurrent_requests.min(Semaphore::MAX_PERMITS)));
        Self { limits, places }
    }
}

/// Bounds body, time and concurrency.
///
/// At the time limit the handler's future is dropped, as it is when a client goes away: work that must not stop half
/// way runs in a task of its own.
///
/// # Errors
/// 413; 503 without a free place, or when the time is over; those of the work.
pub async fn bound_work<F: Future<Output = Result<Response, ApiError>>>(
    gate: &Gate,
    mut request: Request,
    work: impl FnOnce(Request) -> F,
) -> Result<Response, ApiError> {
    let Ok(_place) = gate.places.try_acquire() else {
        return Err(ApiError::unavailable("too many requests at once", RETRY_AFTER));
    };
    let (limit, time, form) = gate.limits.of(&request);
    if declared_length(request.headers()).is_some_and(|length| length > limit as u64) {
        return Err(ApiError::too_large(format!("request body is over the limit of {limit} bytes")));
    }
    DefaultBodyLimit::max(limit).apply(&mut request);
    request.extensions_mut().insert(form);
    tokio::time::timeout(time, work(request))
        .await
        .unwrap_or_else(|_| Err(ApiError::unavailable("the request took too long", RETRY_AFTER)))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Turns a handler's panic into a logged 500.
pub async fn catch_panic(work: impl Future<Output = Response>) -> Response {
    // What a handler shares with others is whole at every panic, as locks and channels say of themselves.
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(answer_panic)
}

/// Only texts are logged: any other payload says nothing readable.
fn answer_panic(payload: Box<dyn Any + Send>) -> Response {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    tracing::error!(panic = text, "a handler panicked");
    ApiError::internal().into_response()
}
