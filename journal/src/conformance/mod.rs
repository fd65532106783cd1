//! What every journal owes its callers, as cases that run against any store: the tests of the adapters run them, and
//! `dcm journal conformance` runs them against the store of an installation, where it measures the store too.

mod cases;
pub mod events;
mod rates;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;

use crate::store::{Journal, OpenError, Scratch};

pub use cases::CASES;
pub use rates::{Effort, Lag, NotMeasured, Rates, measure};

/// How long one case may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for one journal that nobody else uses, and that is empty before it is first opened.
#[async_trait]
pub trait Place: Send + Sync {
    /// Another adapter on the same journal, as another process would have it.
    ///
    /// # Errors
    /// [`OpenError`] as of [`open`](crate::store::open).
    async fn open(&self) -> Result<Arc<dyn Journal>, OpenError>;
}

#[async_trait]
impl Place for Scratch {
    async fn open(&self) -> Result<Arc<dyn Journal>, OpenError> {
        Scratch::open(self).await
    }
}

/// One thing that a journal owes.
pub struct Case {
    /// What it is, in words joined by underscores.
    pub name: &'static str,
    run: fn(Arc<dyn Place>) -> Finding,
}

/// What a case found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The journal does what it should.
    Passed,
    /// The store does not promise it; see [`Traits`](crate::store::Traits).
    NotPromised,
    /// It does not.
    Failed(String),
}

impl Case {
    /// Looks whether the journal in `place`, which is empty, fulfils it; bounded in time.
    pub async fn run(&self, place: Arc<dyn Place>) -> Outcome {
        // In a task of its own: a case that panics is a case that failed.
        let run = tokio::spawn(tokio::time::timeout(PATIENCE, (self.run)(place)));
        match run.await {
            Ok(Ok(Ok(Verdict::Kept))) => Outcome::Passed,
            Ok(Ok(Ok(Verdict::NotPromised))) => Outcome::NotPromised,
            Ok(Ok(Err(Broken(reason)))) => Outcome::Failed(reason),
            Ok(Err(_)) => Outcome::Failed(format!("not done within {} s", PATIENCE.as_secs())),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}

/// What a case finds, while it looks.
type Finding = BoxFuture<'static, Result<Verdict, Broken>>;

/// How a case ended that found nothing wrong.
enum Verdict {
    Kept,
    NotPromised,
}

/// What a case found wrong.
struct Broken(String);

impl<E: std::error::Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
