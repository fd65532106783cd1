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
use axum::response::Response;
use http::{HeaderMap, HeaderName, Method, header};
use serde_json::{Map, Value};

use self::body::Piecewise;
use self::line::{Line, shown};
use super::form::Form;
use super::identity::Caller;
use super::request_id::RequestId;

/// The logger's name of old, by which lines are filtered and found.
const TARGET: &str = "dcmanager.common.context.auditor";

/// The status of a request whose client went away before the answer, as proxies write it.
const CLIENT_GONE: u16 = 499;

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
    /// The parts of a body that is read piece by piece.
    parts: Vec<Piecewise>,
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

    /// Notes that the next part of a form begins whose parts nobody keeps.
    pub fn part(&self, name: &str, is_file: bool) {
        self.note(|noted| noted.parts.push(Piecewise::new(name, is_file)));
    }

    /// Notes the next piece of the part that began last; an empty one at its end.
    pub fn piece(&self, piece: &[u8]) {
        self.note(|noted| {
            if let Some(part) = noted.parts.last_mut() {
                part.take_in(piece);
            }
        });
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take(&self) -> Noted {
        let mut noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        noted.body = noted.body.or_else(|| body::of_parts(&noted.parts));
        noted
    }
}

/// Logs the request when it has its answer, or nobody waits for one any more. Goes around route lookup and the
/// rendering of errors, so that it sees every outcome and the length of what is sent.
pub async fn audit<F: Future<Output = Response>>(
    mut request: Request,
    work: impl FnOnce(Request) -> F,
) -> Response {
    if !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
        return work(request).await;
    }
    let pending = Pending { asked: Asked::of(&request), record: Record::default(), is_logged: false };
    request.extensions_mut().insert(pending.record.clone());
    let response = work(request).await;
    pending.answered(&response);
    response
}

/// A request whose line is still to be written. The server drops it with its client's connection; what it asked for may
/// be carried out nevertheless, so it is logged then, too.
struct Pending {
    asked: Asked,
    record: Record,
    is_logged: bool,
}

impl Pending {
    fn answered(mut self, response: &Response) {
        self.is_logged = true;
        self.asked.log(&self.record.take(), response.status().as_u16(), length(response));
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_logged {
            self.asked.log(&self.record.take(), CLIENT_GONE, None);
        }
    }
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

    fn log(&self, noted: &Noted, status: u16, len: Option<u64>) {
        let line = self.line(noted, status, len);
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

    fn line<'a>(&'a self, noted: &'a Noted, status: u16, len: Option<u64>) -> Line<'a> {
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
            status,
            len,
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
