//! Checks of a request that ask the platform: passed, left out and recorded, or not possible now (design §8).

use std::time::Duration;

use dcm_domain::subcloud::SkippedCheck;

use crate::app::App;
use crate::platform::PlatformError;
use crate::transport::ApiError;

/// When a client may try again after the platform did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The checks of one request, and which of them were left out.
#[derive(Debug, Default)]
pub struct Checks {
    skipped: Vec<SkippedCheck>,
}

impl Checks {
    /// What the platform answered to what `check` asks; `None` if nothing is configured that could: the check is left
    /// out.
    ///
    /// # Errors
    /// What it said instead of an answer.
    pub fn asked<T>(
        &mut self,
        check: &str,
        answer: Result<T, PlatformError>,
    ) -> Result<Option<T>, PlatformError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error @ PlatformError::NotConfigured(_)) => {
                self.skipped.push(SkippedCheck { check: check.to_owned(), reason: error.to_string() });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// No patch of the controller is partly applied or removed (subclouds.md V3); `operation` is `create` or
    /// `bootstrap`.
    ///
    /// # Errors
    /// 422 if one is; 503 if the patching service does not answer.
    pub async fn no_patching(&mut self, app: &App, operation: &str) -> Result<(), ApiError> {
        let answer = app.platform().patching_in_progress().await;
        match self.asked("patching in progress", answer) {
            Ok(Some(true)) => Err(ApiError::unprocessable(format!(
                "Operation {operation} is not allowed: system controller patching is still in progress"
            ))),
            Ok(_) => Ok(()),
            Err(error) => Err(no_answer("the patching service does not answer", &error)),
        }
    }

    /// The checks that were left out, to be recorded with what is done.
    pub fn skipped(self) -> Vec<SkippedCheck> {
        self.skipped
    }
}

/// 503 with `text`; why goes into the log only.
pub fn no_answer(text: &'static str, error: &PlatformError) -> ApiError {
    tracing::warn!(%error, "{text}");
    ApiError::unavailable(text, RETRY_AFTER)
}
