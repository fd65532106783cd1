//! Given events, when a command, then events or a refusal. Whatever fails points at the line of the test.

use std::fmt::Debug;

use dcm_domain::aggregate::{Aggregate, Command, Facts};
use dcm_domain::value::Timestamp;
use dcm_domain::{directory, subcloud};

/// A refusal with a word that names its rule.
pub trait Coded {
    /// The word.
    fn code(&self) -> &'static str;
}

impl Coded for subcloud::Rejection {
    fn code(&self) -> &'static str {
        Self::code(self)
    }
}

impl Coded for directory::Rejection {
    fn code(&self) -> &'static str {
        match self {
            Self::NameTaken { .. } => "name-taken",
            Self::RegionTaken { .. } => "region-taken",
            Self::NameOrRegionTaken { .. } => "name-or-region-taken",
            Self::SubnetOverlaps => "subnet-overlaps",
            Self::GroupClosed => "group-closed",
            Self::GroupNotEmpty => "group-not-empty",
            Self::SubnetChangeUnderWay => "subnet-change-under-way",
            Self::MoveUnderWay => "move-under-way",
            Self::Unknown => "unknown",
        }
    }
}

/// The facts every decision of these tests is made on.
pub const FACTS: Facts = Facts { now: Timestamp::from_micros(1_699_280_884_000_000) };

/// An aggregate that was told `events`.
#[track_caller]
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A>
where
    A::Event: Debug,
{
    Given { state: fold(None, events) }
}

/// The state after `events`.
#[track_caller]
pub fn fold<A: Aggregate>(state: Option<A>, events: impl IntoIterator<Item = A::Event>) -> Option<A>
where
    A::Event: Debug,
{
    events.into_iter().fold(state, |state, event| match A::evolve(state, &event) {
        Ok(state) => Some(state),
        Err(error) => panic!("{error}: {event:?}"),
    })
}

/// An aggregate before a command.
#[derive(Clone)]
pub struct Given<A> {
    state: Option<A>,
}

impl<A: Aggregate> Given<A>
where
    A::Event: Debug + PartialEq,
{
    /// Told more.
    #[track_caller]
    pub fn and(self, events: impl IntoIterator<Item = A::Event>) -> Self {
        Self { state: fold(self.state, events) }
    }

    /// After a command that must be accepted.
    #[track_caller]
    pub fn after<C: Command<A>>(self, command: C) -> Self {
        match command.decide(self.state.as_ref(), &FACTS) {
            Ok(events) => self.and(events),
            Err(rejection) => panic!("{} refused: {rejection}", C::NAME),
        }
    }

    /// A command is decided.
    #[track_caller]
    pub fn when<C: Command<A>>(self, command: C) -> Then<A, C::Rejection> {
        let decided = command.decide(self.state.as_ref(), &FACTS);
        Then { state: self.state, decided }
    }

    /// The state, which exists.
    #[track_caller]
    pub fn state(&self) -> &A {
        self.state.as_ref().expect("nothing was told yet")
    }
}

/// What a command came to.
pub struct Then<A: Aggregate, R> {
    state: Option<A>,
    decided: Result<Vec<A::Event>, R>,
}

impl<A: Aggregate, R: Debug> Then<A, R>
where
    A::Event: Debug + PartialEq,
{
    /// Exactly these events; gives the aggregate they were told to.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> Given<A> {
        let expected: Vec<_> = expected.into_iter().collect();
        match self.decided {
            Ok(events) => assert_eq!(events, expected),
            Err(rejection) => panic!("refused as {rejection:?}, not {expected:?}"),
        }
        Given { state: fold(self.state, expected) }
    }

    /// Accepted, and nothing happened.
    #[track_caller]
    pub fn then_nothing(self) -> Given<A> {
        self.then([])
    }

    /// Accepted; gives the aggregate afterwards, for what its state says.
    #[track_caller]
    pub fn then_accepted(self) -> Given<A> {
        match self.decided {
            Ok(events) => Given { state: fold(self.state, events) },
            Err(rejection) => panic!("refused as {rejection:?}"),
        }
    }

    /// Refused by the rule with this code; gives the aggregate, unchanged.
    #[track_caller]
    pub fn then_rejected(self, code: &str) -> Given<A>
    where
        R: Coded,
    {
        match self.decided {
            Ok(events) => panic!("not refused as {code}, but {events:?}"),
            Err(rejection) => assert_eq!(rejection.code(), code, "{rejection:?}"),
        }
        Given { state: self.state }
    }

    /// Refused with a text that holds `part`: what a client reads.
    #[track_caller]
    pub fn then_refused_saying(self, part: &str) -> Given<A>
    where
        R: std::fmt::Display,
    {
        match self.decided {
            Ok(events) => panic!("not refused, but {events:?}"),
            Err(rejection) => assert!(rejection.to_string().contains(part), "{rejection}"),
        }
        Given { state: self.state }
    }
}
