//! Checks that a server decides (access.md §6, `http://` and `https://`).

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy as Redirects;
use serde_json::json;

use super::check::Credentials;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What an answer that allows consists of.
const ALLOWED: &[u8] = b"True";

/// Why there is no answer; for the log.
#[derive(Debug, thiserror::Error)]
#[error("the remote check {url} cannot be asked: {cause}")]
pub struct RemoteError {
    /// Which one.
    pub url: String,
    /// Why not.
    pub cause: String,
}

/// Asks servers. The client is made for the first question.
#[derive(Debug, Default)]
pub(super) struct Remote(OnceLock<Client>);

impl Remote {
    /// Whether the server at `url` allows `rule` to a caller with `credentials`: its answer is exactly `True`, whatever
    /// its status.
    ///
    /// # Errors
    /// [`RemoteError`] if it gives no answer in time.
    pub(super) async fn ask(
        &self,
        url: &str,
        rule: &str,
        credentials: Credentials<'_>,
    ) -> Result<bool, RemoteError> {
        let failed = |error: reqwest::Error| RemoteError {
            url: url.to_owned(),
            cause: std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
        };
        let form = [
            ("rule", json!(rule).to_string()),
            ("target", "{}".to_owned()),
            (
                "credentials",
                json!({"project_name": credentials.project_name, "roles": credentials.roles}).to_string(),
            ),
        ];
        let mut answer = self.client().map_err(failed)?.post(url).form(&form).send().await.map_err(failed)?;
        let mut said = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            said.extend_from_slice(&chunk);
            if said.len() > ALLOWED.len() {
                return Ok(false);
            }
        }
        Ok(said == ALLOWED)
    }

    fn client(&self) -> Result<&Client, reqwest::Error> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = Client::builder().timeout(PATIENCE).redirect(Redirects::none()).build()?;
        Ok(self.0.get_or_init(|| client))
    }
}
