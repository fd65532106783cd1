//! Talking to a running server.

use serde_json::Value;

use super::Failure;

/// Which server to talk to.
#[derive(Clone, Debug, clap::Args)]
pub struct Server {
    /// Base address of the server.
    #[arg(long, value_name = "URL", env = "DCM_URL", default_value = "http://127.0.0.1:8119")]
    pub url: String,
}

impl Server {
    /// The JSON answer to a GET of `path` with `query`.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        self.answer(reqwest::Client::new().get(self.address(path)).query(query)).await
    }

    /// The JSON answer to a POST of `path`.
    pub async fn post(&self, path: &str) -> Result<Value, Failure> {
        self.answer(reqwest::Client::new().post(self.address(path))).await
    }

    /// The answer to a POST of `path` with `query`, line by line, each line JSON: `each` is called as they come.
    pub async fn post_for_lines(
        &self,
        path: &str,
        query: &[(&str, String)],
        mut each: impl FnMut(Value) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let request = reqwest::Client::new().post(self.address(path)).query(query);
        let mut answer = request.send().await.map_err(|cause| self.unreachable(cause))?;
        if !answer.status().is_success() {
            return self.read(answer).await.map(drop);
        }
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

    /// The whole address of `path`.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }

    /// A failure to reach the server.
    pub fn unreachable(&self, cause: reqwest::Error) -> Failure {
        Failure::Unreachable { url: self.url.clone(), cause: cause.without_url() }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let request = request.header("Accept", "application/json");
        let answer = request.send().await.map_err(|cause| self.unreachable(cause))?;
        self.read(answer).await
    }

    async fn read(&self, answer: reqwest::Response) -> Result<Value, Failure> {
        let status = answer.status();
        let text = answer.text().await.map_err(|cause| self.unreachable(cause))?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if status.is_success() {
            return Ok(body);
        }
        let said = body.get("description").and_then(Value::as_str).or(body.as_str()).unwrap_or_default();
        Err(Failure::Refused(format!("{status}: {said}")))
    }
}

/// A path segment for a name that may hold anything.
pub fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
