//! From what went wrong to what the client is told. One table; causes of failures are logged here and nowhere else.

use std::error::Error;
use std::time::Duration;

use dcm_domain::association;
use dcm_domain::directory::Rejection as DirectoryRejection;
use dcm_domain::group;
use dcm_domain::options;
use dcm_domain::peer_group;
use dcm_domain::subcloud::Rejection;
use dcm_domain::system_peer;
use dcm_domain::validate::{Refused, Status};
use dcm_domain::value::InvalidName;
use dcm_journal::collection::CollectionError;
use dcm_journal::fleet::FleetError;
use dcm_journal::repository::{CommandError, Unavailable};
use dcm_journal::store::ReadError;
use dcm_journal::vault::VaultError;
use dcm_projections::RebuildError;

use crate::transport::ApiError;

/// When a client may try again after something was not there.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<Rejection> for ApiError {
    /// 400 for what the old API process found, 422 for what its manager found (subclouds.md §1.3).
    fn from(rejection: Rejection) -> Self {
        use Rejection as R;
        let text = rejection.to_string();
        match rejection {
            R::NotFound => Self::not_found(text),
            R::AlreadyExists => Self::conflict(text),
            R::ReservationStale { .. } => Self::unavailable(text, RETRY_AFTER),
            R::MigrateNotComplete { .. }
            | R::MigrateNotUnmanaged
            | R::NotRenamable { .. }
            | R::SameName { .. }
            | R::WrongDeployState { .. }
            | R::NotCompletable { .. }
            | R::NotAbortable { .. }
            | R::NotInitialDeployment { .. }
            | R::SecondaryState { .. }
            | R::NotRedeployable { .. }
            | R::InstallValuesMissing
            | R::NotPrestageable { .. }
            | R::NotMigratable { .. }
            | R::RehomeDataMissing { .. }
            | R::RehomePayloadEmpty { .. }
            | R::RehomeAddressMissing { .. }
            | R::NotBackupable { .. }
            | R::BackupActive { .. }
            | R::NotRestorable { .. }
            | R::OnlyConfigureLeft => Self::bad_request(text),
            R::RunActive { .. }
            | R::AlreadyManaged { .. }
            | R::AlreadyUnmanaged { .. }
            | R::NotManageable { .. }
            | R::NotOnline { .. }
            | R::DeployStatusNeedsUnmanaged { .. }
            | R::ManageWithDeployStatus { .. }
            | R::ImpossibleDeployStatus { .. }
            | R::RehomeNeedsValues
            | R::DeleteManaged { .. }
            | R::DeleteOnline { .. }
            | R::ReconfigureManaged
            | R::AddressInUse { .. }
            | R::RunNotActive
            | R::RunClaimed
            | R::OutOfTurn => Self::unprocessable(text),
        }
    }
}

impl From<DirectoryRejection> for ApiError {
    fn from(rejection: DirectoryRejection) -> Self {
        use DirectoryRejection as R;
        let text = rejection.to_string();
        match rejection {
            R::NameTaken { .. } | R::RegionTaken { .. } => Self::conflict(text),
            R::NameOrRegionTaken { .. } | R::SubnetChangeUnderWay => Self::unprocessable(text),
            R::SubnetOverlaps | R::GroupClosed | R::GroupNotEmpty => Self::bad_request(text),
            R::MoveUnderWay => Self::unavailable(text, RETRY_AFTER),
            R::Unknown => Self::not_found(text),
        }
    }
}

impl From<FleetError> for ApiError {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::Directory(rejection) => rejection.into(),
            FleetError::Subcloud(rejection) => rejection.into(),
            FleetError::IdReused => Self::unprocessable(error.to_string()),
            FleetError::Unavailable(cause) => cause.into(),
        }
    }
}

impl<R: Error> From<CollectionError<R>> for ApiError
where
    Self: From<R>,
{
    fn from(error: CollectionError<R>) -> Self {
        match error {
            CollectionError::Rejected(rejection) => rejection.into(),
            CollectionError::Stale => Self::unavailable(error.to_string(), RETRY_AFTER),
            CollectionError::IdReused => Self::unprocessable(error.to_string()),
            CollectionError::Unavailable(cause) => cause.into(),
        }
    }
}

impl<R: Error> From<CommandError<R>> for ApiError
where
    Self: From<R>,
{
    fn from(error: CommandError<R>) -> Self {
        match error {
            CommandError::Rejected(rejection) => rejection.into(),
            CommandError::IdReused => Self::unprocessable(error.to_string()),
            CommandError::Unavailable(cause) => cause.into(),
        }
    }
}

impl From<std::convert::Infallible> for ApiError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<options::Rejection> for ApiError {
    fn from(rejection: options::Rejection) -> Self {
        match rejection {
            options::Rejection::NoOwnOptions => Self::not_found(rejection.to_string()),
            options::Rejection::AlreadyThere => Self::conflict(rejection.to_string()),
        }
    }
}

impl From<group::Rejection> for ApiError {
    /// 400 for whatever the request or the group's state does not allow (fleet.md §2; decisions.md, "Duplicate names").
    fn from(rejection: group::Rejection) -> Self {
        use group::Rejection as R;
        let text = rejection.to_string();
        match rejection {
            R::NotFound => Self::not_found(text),
            R::ChangeUnderWay => Self::unavailable(text, RETRY_AFTER),
            R::InvalidName
            | R::InvalidDescription
            | R::InvalidApplyType
            | R::InvalidMaxParallel
            | R::NothingToUpdate
            | R::DefaultNameFixed
            | R::DefaultStays
            | R::NotEmpty
            | R::NameTaken
            | R::AlreadyExists => Self::bad_request(text),
        }
    }
}

impl From<peer_group::Rejection> for ApiError {
    /// 400 for whatever the request or the group's state does not allow, 409 for a name that is taken (fleet.md §3;
    /// decisions.md, "Duplicate names").
    fn from(rejection: peer_group::Rejection) -> Self {
        use peer_group::Rejection as R;
        let text = rejection.to_string();
        match rejection {
            R::NotFound => Self::not_found(text),
            R::NameTaken | R::AlreadyExists => Self::conflict(text),
            R::ChangeUnderWay => Self::unavailable(text, RETRY_AFTER),
            R::InvalidName
            | R::InvalidLeaderId
            | R::InvalidLeaderName
            | R::InvalidPriority
            | R::InvalidState
            | R::InvalidMaxRehoming
            | R::InvalidMigrationStatus
            | R::NothingToUpdate
            | R::Associated
            | R::MigrationUnderWay
            | R::NothingToMigrate => Self::bad_request(text),
        }
    }
}

impl From<system_peer::Rejection> for ApiError {
    /// As for peer groups (fleet.md §5).
    fn from(rejection: system_peer::Rejection) -> Self {
        use system_peer::Rejection as R;
        let text = rejection.to_string();
        match rejection {
            R::NotFound => Self::not_found(text),
            R::Taken(_) | R::AlreadyExists => Self::conflict(text),
            R::ChangeUnderWay => Self::unavailable(text, RETRY_AFTER),
            R::InvalidUuid
            | R::InvalidName
            | R::InvalidEndpoint
            | R::InvalidUsername
            | R::InvalidPassword
            | R::InvalidGateway
            | R::InvalidState
            | R::InvalidInterval
            | R::InvalidThreshold
            | R::InvalidPolicy
            | R::InvalidMaintenance
            | R::NothingToUpdate
            | R::Associated => Self::bad_request(text),
        }
    }
}

impl From<association::Rejection> for ApiError {
    /// 400 for whatever the request or the association's state does not allow (fleet.md §7).
    fn from(rejection: association::Rejection) -> Self {
        use association::Rejection as R;
        let text = rejection.to_string();
        match rejection {
            R::NotFound => Self::not_found(text),
            R::AlreadyExists => Self::conflict(text),
            R::ChangeUnderWay => Self::unavailable(text, RETRY_AFTER),
            R::InvalidPeerGroup
            | R::InvalidSystemPeer
            | R::PriorityRequired
            | R::PriorityForbidden
            | R::InvalidPriority
            | R::NothingToUpdate
            | R::PairTaken
            | R::Disabled
            | R::NotDisabled
            | R::NotLeader => Self::bad_request(text),
        }
    }
}

impl From<Unavailable> for ApiError {
    fn from(error: Unavailable) -> Self {
        match error {
            Unavailable::Contended => Self::unavailable("it is being changed by others", RETRY_AFTER),
            Unavailable::Unwritable(_) => defect("an event could not be written", &error),
            _ => missing("the journal is not available", &error),
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        missing("the journal is not available", &error)
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        missing("the read models are not available", &error)
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::TooLarge => Self::too_large(error.to_string()),
            VaultError::Conflict(_) => defect("a vault entry could not be written", &error),
            _ => missing("the vault is not available", &error),
        }
    }
}

impl From<RebuildError> for ApiError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Unknown(_) => Self::not_found(error.to_string()),
            RebuildError::NothingBefore(_)
            | RebuildError::Busy(_)
            | RebuildError::NotBusy(_)
            | RebuildError::Cancelled
            | RebuildError::TakenOver
            | RebuildError::Differs(_) => Self::conflict(error.to_string()),
            RebuildError::Event { .. } => Self::unprocessable(error.public_reason()),
            RebuildError::Project(cause) => missing("the read model could not be rebuilt", &cause),
        }
    }
}

impl From<Refused> for ApiError {
    fn from(Refused { status, text }: Refused) -> Self {
        match status {
            Status::BadRequest => Self::bad_request(text),
            Status::Unprocessable => Self::unprocessable(text),
            Status::Conflict => Self::conflict(text),
            Status::Unavailable => Self::unavailable(text, RETRY_AFTER),
        }
    }
}

impl From<InvalidName> for ApiError {
    fn from(error: InvalidName) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// 503 for what only a worker of `kind` could answer, while there is none.
pub(crate) fn no_worker(kind: &str) -> ApiError {
    ApiError::unavailable(format!("no worker for {kind}"), RETRY_AFTER)
}

/// 503 with `text`; what lies behind it goes into the log only.
pub(crate) fn missing(text: &'static str, cause: &dyn Error) -> ApiError {
    tracing::warn!(cause = chain(cause), "{text}");
    ApiError::unavailable(text, RETRY_AFTER)
}

/// 500; what lies behind it goes into the log only.
pub(crate) fn defect(text: &'static str, cause: &dyn Error) -> ApiError {
    tracing::error!(cause = chain(cause), "{text}");
    ApiError::internal()
}

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Transparent errors repeat their source's text.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failures_cause_stays_in_the_log() {
        let error = sqlx::Error::Configuration("postgres://dcm:secret@db/x: select 1".into());
        let told = ApiError::from(error);
        assert_eq!(told.status(), 503);
        assert_eq!(told.detail(), Some("the read models are not available"));
    }

    #[test]
    fn kinds_of_refusal() {
        let name = || "a".to_owned();
        for (rejection, status) in [
            (Rejection::NotFound, 404),
            (Rejection::SameName { name: name() }, 400),
            (Rejection::MigrateNotUnmanaged, 400),
            (Rejection::AlreadyManaged { name: name() }, 422),
            (Rejection::RunActive { name: name() }, 422),
        ] {
            assert_eq!(ApiError::from(rejection).status(), status);
        }
        assert_eq!(ApiError::from(DirectoryRejection::NameTaken { name: name() }).status(), 409);
        assert_eq!(ApiError::from(DirectoryRejection::NameOrRegionTaken { name: name() }).status(), 422);
        assert_eq!(ApiError::from(DirectoryRejection::SubnetOverlaps).status(), 400);
    }
}
