//! A client for one server.

use std::sync::Once;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::multipart::Form;

const DEADLINE: Duration = Duration::from_secs(30);

/// Sends requests to one base URL. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    base: String,
}

/// A request that has not been sent yet.
#[derive(Debug)]
pub struct Request {
    line: String,
    builder: RequestBuilder,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `METHOD path` of the request, for messages.
    pub request: String,
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

impl Http {
    /// A client of the server at `base` (`http://127.0.0.1:PORT`, no slash at the end).
    pub fn new(base: impl Into<String>) -> Self {
        Self::keeping(base, usize::MAX)
    }

    /// As [`Self::new`], with a connection of its own for every request.
    pub fn unpooled(base: impl Into<String>) -> Self {
        Self::keeping(base, 0)
    }

    fn keeping(base: impl Into<String>, idle: usize) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Somebody else in this process may have installed the same one already.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let client = Client::builder().no_proxy().timeout(DEADLINE).pool_max_idle_per_host(idle).build();
        let client = client.expect("build an HTTP client");
        Self { client, base: base.into() }
    }

    /// Base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Any request; `path` begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let line = format!("{method} {path}");
        Request { line, builder: self.client.request(method, format!("{}{path}", self.base)) }
    }

    /// GET.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// POST.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// PATCH.
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    /// GET; the JSON body. Panics unless the answer is 200.
    pub async fn get_json(&self, path: &str) -> Value {
        self.get(path).send().await.expect(200).json()
    }

    /// PATCH with a multipart form, as the command line does.
    pub async fn patch_form(&self, path: &str, form: &Form) -> Answer {
        self.patch(path).form(form).send().await
    }

    /// POST with a multipart form.
    pub async fn post_form(&self, path: &str, form: &Form) -> Answer {
        self.post(path).form(form).send().await
    }
}

impl Request {
    /// Adds a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { builder: self.builder.header(name, value), ..self }
    }

    /// Sends a multipart form.
    #[must_use]
    pub fn form(self, form: &Form) -> Self {
        self.body(&form.content_type(), form.body())
    }

    /// Sends JSON.
    #[must_use]
    pub fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string().into_bytes())
    }

    /// Sends any body.
    #[must_use]
    pub fn body(self, content_type: &str, body: Vec<u8>) -> Self {
        let builder = self.builder.header("content-type", content_type).body(body);
        Self { builder, ..self }
    }

    /// Sends it. Panics if no answer comes.
    pub async fn send(self) -> Answer {
        let line = self.line.clone();
        self.try_send().await.unwrap_or_else(|e| panic!("{line}: no answer: {e:?}"))
    }

    /// Sends it; a server that is down or dies while answering is an error.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let response = self.builder.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        Ok(Answer { request: self.line, status, headers, body: response.text().await? })
    }
}

impl Answer {
    /// Checks the status and gives itself back. Panics with the body otherwise.
    #[track_caller]
    #[must_use = "the answer still holds the body; use `let _ =` to drop it"]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {}: {}", self.request, self.status, self.body);
        self
    }

    /// The body as JSON. Panics if it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|e| panic!("{}: {} is no JSON ({e}): {}", self.request, self.status, self.body))
    }

    /// A header as text, `None` when absent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
