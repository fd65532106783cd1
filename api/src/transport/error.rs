//! The one error type of every handler and layer.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// A refused or failed request: status, the handler's text, and headers that belong to the status.
///
/// As a response it has no body of its own: it travels in the response's extensions until the outermost layer
/// renders it in the form the client's `Accept` asks for (access.md §9).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}{}", .detail.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
pub struct ApiError {
    status: StatusCode,
    detail: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// An error of `status` with the handler's text; shown as `description` in JSON.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, detail: Some(text.into()), headers: Vec::new() }
    }

    /// An error of the framework or the policy, which has no text: JSON `description` is null (access.md §9).
    pub fn bare(status: StatusCode) -> Self {
        Self { status, detail: None, headers: Vec::new() }
    }

    /// 400: the request itself is at fault.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 401: who is asking is not known.
    pub fn unauthorized(text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, text)
    }

    /// 403: the policy says no. It never has a text (access.md §5).
    pub fn forbidden() -> Self {
        Self::bare(StatusCode::FORBIDDEN)
    }

    /// 404: the path is known, what it names is not (`Subcloud not found`).
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 404 of the routing: no such resource, verb or version.
    pub fn unknown_path() -> Self {
        Self::bare(StatusCode::NOT_FOUND)
    }

    /// 405: the path is known, the method is not; `allow` lists what is (`GET, PATCH`).
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::bare(StatusCode::METHOD_NOT_ALLOWED).with_header(header::ALLOW, HeaderValue::from_static(allow))
    }

    /// 406: no form of the answer is acceptable to the client.
    pub fn not_acceptable() -> Self {
        Self::bare(StatusCode::NOT_ACCEPTABLE)
    }

    /// 409: the name, or another unique value, is taken.
    pub fn conflict(text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    /// 410: a retired verb; the text names its replacement (subclouds.md §6.9).
    pub fn gone(text: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, text)
    }

    /// 413: a body or a field of it is over its limit; the text names it.
    pub fn too_large(text: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// 422: understood, and refused by a rule of the domain.
    pub fn unprocessable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    }

    /// 500: a defect of the program. What went wrong is for the log, not for the client.
    pub fn internal() -> Self {
        Self::bare(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// 503 with `Retry-After` in whole seconds, at least one: something this answer depends on is not there now.
    pub fn unavailable(text: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
            .with_header(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)))
    }

    /// The same error with one more response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The handler's text; `None` for errors of framework and policy.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}
