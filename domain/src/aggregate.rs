//! What every aggregate and every command has in common.

use serde::{Serialize, de::DeserializeOwned};

use crate::value::Timestamp;

/// State rebuilt from the events of one stream.
pub trait Aggregate: Sized + Clone + Send + Sync + 'static {
    /// What can happen to it. Serialises as `{"type": …, "data": …}`.
    type Event: Clone + Send + Sync + Serialize + DeserializeOwned + 'static;

    /// First word of the aggregate's stream names and bus subjects.
    const KIND: &'static str;

    /// The state after `event`. `None` is "does not exist yet".
    ///
    /// # Errors
    /// [`Unfoldable`] if the event cannot follow this state: the stream is damaged or from a newer program.
    fn evolve(state: Option<Self>, event: &Self::Event) -> Result<Self, Unfoldable>;
}

/// A request to one aggregate; its serialised form is recorded with the first event it causes.
pub trait Command<A: Aggregate>: Serialize + Send + Sync {
    /// Why it may be refused.
    type Rejection: std::error::Error + Send + Sync + 'static;

    /// Recorded name.
    const NAME: &'static str;

    /// Recorded version of the arguments' shape.
    const VERSION: u32 = 1;

    /// What happens if `self` is carried out on `state`: events in order, none if it is already so.
    ///
    /// # Errors
    /// The rule that refuses it.
    fn decide(&self, state: Option<&A>, facts: &Facts) -> Result<Vec<A::Event>, Self::Rejection>;
}

/// What a decision may know beside state and command: looked up or drawn before, and recorded with the events.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Facts {
    /// The moment of the decision.
    pub now: Timestamp,
}

/// An event that cannot follow the state it was applied to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event} cannot follow the state of the {aggregate}")]
pub struct Unfoldable {
    /// Kind of the aggregate.
    pub aggregate: &'static str,
    /// What was applied.
    pub event: String,
}
