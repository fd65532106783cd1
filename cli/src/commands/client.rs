//! Talking to a running server.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use clap::builder::OsStringValueParser;
use dcm_domain::value::Secret;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, RequestBuilder, Response, redirect};
use serde_json::Value;

use super::Failure;

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Which server to talk to, and as whom.
#[derive(Clone, Debug, clap::Args)]
pub struct Server {
    /// Base address of the server.
    #[arg(long, value_name = "URL", env = "DCM_URL", default_value = "http://127.0.0.1:8119")]
    pub url: String,
    /// A token of Keystone, if the server asks for one. Others see what stands on a command line: better in the variable.
    #[arg(long, value_name = "TOKEN", env = "OS_TOKEN", hide_env_values = true, value_parser = secret)]
    pub token: Option<Arc<Secret>>,
    /// Authorities whose certificates are trusted besides the public ones (PEM).
    #[arg(long, value_name = "FILE", env = "OS_CACERT", value_parser = OsStringValueParser::new())]
    pub cacert: Option<OsString>,
}

fn secret(text: &str) -> Result<Arc<Secret>, Infallible> {
    Ok(Arc::new(Secret::new(text.to_owned())))
}

impl Server {
    /// The JSON answer to a GET of `path` with `query`.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        self.answer(self.client()?.get(self.address(path)).query(query)).await
    }

    /// The JSON answer to a POST of `path`.
    pub async fn post(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.client()?.post(self.address(path))).await
    }

    /// The answer to a POST of `path` with `query`, line by line, each line JSON: `each` is called as they come.
    pub async fn post_for_lines(
        &self,
        path: &str,
        query: &[(&str, String)],
        mut each: impl FnMut(Value) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut answer = self.accepted(self.client()?.post(self.address(path)).query(query)).await?;
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|cause| self.unreachable(cause))? {
            text.extend_from_slice(&chunk);
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                each(serde_json::from_slice(&line).unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// The answer to a GET of `path` with `query`, of the media type `kind`, as it comes.
    pub async fn stream(
        &self,
        path: &str,
        query: &[(&str, String)],
        kind: &'static str,
    ) -> Result<Response, Failure> {
        self.accepted(self.client()?.get(self.address(path)).query(query).header(ACCEPT, kind)).await
    }

    /// Sends the token to this server alone, wherever it points.
    fn client(&self) -> Result<Client, Failure> {
        let mut client = Client::builder().redirect(redirect::Policy::none());
        // Variables that are there and empty say nothing.
        if let Some(file) = self.cacert.as_deref().filter(|file| !file.is_empty()).map(Path::new) {
            let unusable = |error: &dyn std::fmt::Display| Failure::start(file.display().to_string(), error);
            let pem = fs::read(file).map_err(|error| unusable(&error))?;
            let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&error))?;
            if authorities.is_empty() {
                return Err(unusable(&"no certificate in it"));
            }
            client = authorities.into_iter().fold(client, reqwest::ClientBuilder::add_root_certificate);
        }
        if let Some(token) = self.token.as_ref().filter(|token| !token.expose().is_empty()) {
            let token = HeaderValue::from_str(token.expose());
            let mut token = token.map_err(|_| Failure::start("--token", "not what a header can hold"))?;
            token.set_sensitive(true);
            client = client.default_headers(HeaderMap::from_iter([(TOKEN, token)]));
        }
        client.build().map_err(|cause| self.unreachable(cause))
    }

    /// The whole address of `path`.
    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }

    /// A failure to reach the server.
    pub fn unreachable(&self, cause: reqwest::Error) -> Failure {
        Failure::Unreachable { url: self.url.clone(), cause: cause.without_url() }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let answer = self.accepted(request.header(ACCEPT, "application/json")).await?;
        let text = answer.text().await.map_err(|cause| self.unreachable(cause))?;
        Ok(json(text))
    }

    /// The answer, unless it is a refusal.
    async fn accepted(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let answer = request.send().await.map_err(|cause| self.unreachable(cause))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = json(answer.text().await.map_err(|cause| self.unreachable(cause))?);
        let said = body.get("description").and_then(Value::as_str).or(body.as_str()).unwrap_or_default();
        Err(Failure::Refused(format!("{status}: {said}")))
    }
}

/// What `text` says; the text itself if it is no JSON.
fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// A path segment for a name that may hold anything.
pub fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
