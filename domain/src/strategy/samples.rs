//! What the tests of strategies begin with.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use uuid::Uuid;

use super::command::CreateStrategy;
use super::*;
use crate::aggregate::{Aggregate, Command, Facts};
use crate::value::{
    Availability, DeployStatus, Endpoint, ManagementState, Name, SecretRef, SyncStatus, Timestamp,
};

pub fn now() -> Timestamp {
    Timestamp::parse("2023-11-20T10:00:00.123456Z").unwrap()
}

pub fn facts() -> Facts {
    Facts { now: now() }
}

/// `subcloud<id>`, managed, online, complete, every endpoint out of sync.
pub fn subcloud(id: i64) -> Candidate {
    Candidate {
        subcloud: Uuid::from_u128(id.unsigned_abs().into()),
        id,
        name: Name::parse(&format!("subcloud{id}")).unwrap(),
        group_id: 1,
        management: ManagementState::Managed,
        availability: Availability::Online,
        deploy: DeployStatus::Complete,
        backup: None,
        software_version: "22.12".to_owned(),
        endpoints: Endpoint::DEFAULT.into_iter().map(|endpoint| (endpoint, SyncStatus::OutOfSync)).collect(),
    }
}

pub fn with(candidate: Candidate, status: SyncStatus) -> Candidate {
    let endpoints: BTreeMap<_, _> = candidate.endpoints.keys().map(|endpoint| (*endpoint, status)).collect();
    Candidate { endpoints, ..candidate }
}

pub fn offline(candidate: Candidate) -> Candidate {
    Candidate { availability: Availability::Offline, ..candidate }
}

pub fn unmanaged(candidate: Candidate) -> Candidate {
    Candidate { management: ManagementState::Unmanaged, ..candidate }
}

pub fn patch() -> Work {
    Work::Patch { upload_only: false }
}

pub fn kubernetes() -> Work {
    Work::Kubernetes { to_version: None }
}

pub fn prestage() -> Work {
    Work::Prestage { password: GivenPassword::Kept(SecretRef(Uuid::from_u128(9))) }
}

/// Work for all subclouds, nothing else said; a platform of which nothing is asked.
pub fn create(work: Work, candidates: Vec<Candidate>) -> CreateStrategy {
    CreateStrategy {
        uuid: Uuid::from_u128(7),
        request: StrategyRequest {
            work,
            scope: Scope::All,
            apply_type: None,
            max_parallel_subclouds: None,
            stop_on_failure: false,
            force: false,
            release: None,
        },
        platform: PlatformFacts {
            active_release: "22.12".to_owned(),
            loads: Asked::NotAsked,
            upgrading: Asked::NotAsked,
        },
        candidates,
    }
}

pub fn forced(mut command: CreateStrategy) -> CreateStrategy {
    command.request.force = true;
    command
}

pub fn for_cloud(mut command: CreateStrategy, name: &str) -> CreateStrategy {
    command.request.scope = Scope::Cloud { name: name.to_owned() };
    command
}

/// What `command` leaves of `state`.
pub fn after<C: Command<SwUpdateStrategy, Rejection = Rejection>>(
    state: Option<&SwUpdateStrategy>,
    command: &C,
) -> Result<SwUpdateStrategy, Rejection> {
    let events = command.decide(state, &facts())?;
    let folded = events
        .iter()
        .fold(state.cloned(), |state, event| Some(SwUpdateStrategy::evolve(state, event).unwrap()));
    Ok(folded.unwrap_or_default())
}

/// The strategy that `command` makes of nothing.
pub fn created(command: &CreateStrategy) -> Result<Strategy, Rejection> {
    after(None, command).map(|state| state.current.unwrap())
}

/// Ids of the subclouds with a step, in order.
pub fn chosen(command: &CreateStrategy) -> Result<Vec<i64>, Rejection> {
    Ok(created(command)?.steps.iter().map(|step| step.subcloud_id).collect())
}
