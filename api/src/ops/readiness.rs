//! What is ready: checks that are made when somebody asks, and flags that workers set.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The part that says whether clients may come to this process at all.
pub(super) const API: &str = "api";
/// What a part that is ready says of itself.
pub(super) const READY: &str = "ready";
/// What a role says that another process does while this one could.
const STANDBY: &str = "standby";

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Named checks and flags. Reasons are shown to anyone: they hold no addresses, passwords or queries. Where requests are
/// answered, a role or a connection that is not ready is a warning: they are answered without it.
#[derive(Default)]
pub struct Readiness {
    checks: Mutex<Vec<(String, Check)>>,
    flags: Mutex<BTreeMap<String, Result<&'static str, String>>>,
}

impl Readiness {
    /// Adds a check that is made whenever somebody asks; `Err` says why it is not ready.
    pub fn add_check<F, Fut>(&self, name: impl Into<String>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let check: Check = Arc::new(move || Box::pin(check()));
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).push((name.into(), check));
    }

    /// Says that a role, a connection or a worker is ready, or why it is not. True if that is news.
    pub fn set(&self, name: impl Into<String>, state: Result<(), String>) -> bool {
        let state = state.map(|()| READY);
        let mut flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        flags.insert(name.into(), state.clone()) != Some(state)
    }

    /// Says that this process is about to end: clients are to turn to others.
    pub fn drain(&self) {
        self.set(API, Err("draining".to_owned()));
    }

    /// Says that another process does what a role of this one would do: all is well here, whatever it said before.
    pub fn stand_by(&self, name: impl Into<String>) {
        let mut flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        flags.insert(name.into(), Ok(STANDBY));
    }

    /// Every flag and the result of every check, by name: what a part that is ready says, or why one is not.
    pub async fn ask(&self) -> BTreeMap<String, Result<&'static str, String>> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all = self.flags.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answers = join_all(checks.iter().map(|(name, check)| async move {
            let answer = tokio::time::timeout(PATIENCE, check()).await;
            let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            (name.clone(), answer.map(|()| READY))
        }));
        all.extend(answers.await);
        all
    }
}
