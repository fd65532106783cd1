//! The audit log of requests (access.md §10): one line for each that may change something, whatever became of it.

mod body;
mod line;
mod python;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, Method, header};
use serde_json::{Map, Value};

use self::line::{Line, shown};
use super::form::Form;
use super::identity::Caller;
use super::request_id::RequestId;

/// The logger's name of old, by which lines are filtered and found.
const TARGET: &str = "dcmanager.common.context.auditor";

/// What the layers and extractors inside tell the audit log about a request. A request extension; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Record(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    caller: Option<Caller>,
    /// When the caller was identified: from then on the request's time is counted (access.md §2).
    identified_at: Option<Instant>,
    /// The body as it may be shown.
    body: Option<String>,
}

impl Record {
    /// Notes who it is.
    pub fn identified(&self, caller: &Caller) {
        self.note(|noted| {
            noted.caller = Some(caller.clone());
            noted.identified_at = Some(Instant::now());
        });
    }

    /// Notes a JSON body, with what is secret masked.
    pub fn json(&self, object: &Map<String, Value>) {
        let text = body::of_json(object);
        self.note(|noted| noted.body = text);
    }

    /// Notes the fields of a form, with what is secret masked and without files.
    pub fn form(&self, form: &Form) {
        let text = body::of_form(form);
        self.note(|noted| noted.body = text);
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take(&self) -> Noted {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Layer: logs the request when it has its answer. Goes around route lookup and the rendering of errors, so that it
/// sees every outcome and the length of what is sent.
pub async fn audit(mut request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
        return next.run(request).await;
    }
    let asked = Asked::of(&request);
    let record = Record::default();
    request.extensions_mut().insert(record.clone());
    let response = next.run(request).await;
    asked.log(&record.take(), &response);
    response
}

/// What a line says about the request itself.
struct Asked {
    request_id: Option<RequestId>,
    remote: Option<SocketAddr>,
    method: Method,
    path: String,
    protocol: String,
    host: Option<String>,
    agent: Option<String>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let text = |name: HeaderName| text(request.headers(), &name);
        Self {
            request_id: request.extensions().get().cloned(),
            remote: request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0),
            method: request.method().clone(),
            path: shown(request.uri().path()),
            protocol: format!("{:?}", request.version()),
            host: text(header::HOST),
            agent: text(header::USER_AGENT),
        }
    }

    fn log(&self, noted: &Noted, response: &Response) {
        let line = self.line(noted, response);
        tracing::info!(
            target: TARGET,
            request_id = line.request_id,
            user_id = line.user_id,
            project_id = line.project_id,
            remote = line.remote,
            method = line.method,
            path = line.path,
            protocol = line.protocol,
            status = line.status,
            len = line.len,
            seconds = line.seconds,
            host = line.host,
            agent = line.agent,
            user = line.user,
            tenant = line.tenant,
            domain = line.domain,
            "{line}"
        );
    }

    fn line<'a>(&'a self, noted: &'a Noted, response: &Response) -> Line<'a> {
        let caller = noted.caller.as_ref();
        let actor = caller.map(|caller| &caller.actor);
        let names = caller.map(|caller| &caller.names);
        let user_id = actor.map(|actor| shown(&actor.user_id));
        let project_id = actor.and_then(|actor| actor.project_id.as_deref()).map(shown);
        let name = |name: Option<&String>| name.map(|name| shown(name));
        Line {
            request_id: self.request_id.as_ref().map(RequestId::as_str),
            remote: self.remote.map(|remote| remote.ip().to_string()),
            method: self.method.as_str(),
            path: &self.path,
            protocol: &self.protocol,
            status: response.status().as_u16(),
            len: length(response),
            seconds: noted.identified_at.map_or(0.0, |at| at.elapsed().as_secs_f64()),
            body: noted.body.as_deref(),
            host: self.host.as_deref(),
            agent: self.agent.as_deref(),
            user: name(names.and_then(|names| names.user.as_ref())).or_else(|| user_id.clone()),
            tenant: name(names.and_then(|names| names.tenant.as_ref())).or_else(|| project_id.clone()),
            domain: name(names.and_then(|names| names.user_domain.as_ref())),
            user_id,
            project_id,
        }
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| shown(&String::from_utf8_lossy(value.as_bytes())))
}

/// What is sent, in bytes, where it is known before it is sent.
fn length(response: &Response) -> Option<u64> {
    let stated = || response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    axum::body::HttpBody::size_hint(response.body()).exact().or_else(stated)
}
