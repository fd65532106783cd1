//! Network reconfigurations: while one runs, the subcloud holds its own subnet and the one it is to get, so that
//! whichever it has in the end is its own.

use dcm_domain::aggregate::Command;
use dcm_domain::directory::{
    ConfirmSubnet, Entry, Rejection as DirectoryRejection, ReleaseGroupMove, ReleaseSubnet, ReserveGroupMove,
    ReserveSubnet,
};
use dcm_domain::reservation::{InTime, InTimeRejection};
use dcm_domain::subcloud::{NetworkTask, Rejection, Subcloud, Task};
use dcm_domain::value::Subnet;
use uuid::Uuid;

use super::{Fleet, FleetError, stream};
use crate::repository::{CommandError, Done, Meta, Unavailable};

/// What a network reconfiguration holds for a subcloud beside what it has.
#[derive(Clone, Debug)]
pub struct NetworkMove {
    /// The subnet it is to get.
    pub subnet: Subnet,
    /// The group it is to join along with it, which exists.
    pub group_id: Option<i64>,
}

impl Fleet {
    /// Carries out a command that asks for a network reconfiguration to what `held` names. The reservation lasts until
    /// its run has ended: it is confirmed by the new addresses, released by a failure.
    ///
    /// # Errors
    /// [`FleetError`]; then nothing was changed. [`DirectoryRejection::SubnetOverlaps`] if the subnet is another's.
    pub async fn reconfigure_network<C>(
        &self,
        entity: Uuid,
        held: NetworkMove,
        command: &C,
        meta: &Meta,
    ) -> Result<Done<Subcloud>, FleetError>
    where
        C: Command<Subcloud, Rejection = Rejection>,
    {
        let NetworkMove { subnet, group_id } = held;
        let reserve = ReserveSubnet { entity, subnet: subnet.clone() };
        let step = meta.step("reserve-subnet");
        let reserved = self.directory.run(&self.directory_stream, &reserve, &step).await?;
        let directory = reserved.loaded.state.unwrap_or_default();
        let entry = directory.entry(entity).ok_or(FleetError::Directory(DirectoryRejection::Unknown))?;
        if let Some(group_id) = group_id {
            let reserve = ReserveGroupMove { entity, group_id };
            if let Err(error) = self.tell(&reserve, "reserve-group", meta).await {
                self.tell(&ReleaseSubnet { entity, subnet }, "release-subnet", meta).await?;
                return Err(error);
            }
        }
        let in_time = InTime { command, reserved_at: entry.reserved_at };
        match self.subclouds.run(&stream::<Subcloud>(entity), &in_time, meta).await {
            Ok(done) => Ok(done),
            Err(CommandError::Rejected(InTimeRejection::Refused(rejection))) => {
                self.tell(&ReleaseSubnet { entity, subnet }, "release-subnet", meta).await?;
                if let Some(group_id) = group_id {
                    self.tell(&ReleaseGroupMove { entity, group_id }, "release-group", meta).await?;
                }
                Err(FleetError::Subcloud(rejection))
            }
            // Whoever finds it stale releases it, or has.
            Err(CommandError::Rejected(InTimeRejection::Stale)) => Err(Unavailable::Contended.into()),
            Err(CommandError::IdReused) => Err(FleetError::IdReused),
            // The outcome is not known: the reservation is settled once it is.
            Err(CommandError::Unavailable(cause)) => Err(cause.into()),
        }
    }

    /// The subcloud has the addresses it was to get.
    pub(super) async fn confirm_subnet(
        &self,
        entity: Uuid,
        subnet: &str,
        meta: &Meta,
    ) -> Result<(), FleetError> {
        match Subnet::parse(subnet) {
            Ok(subnet) => self.tell(&ConfirmSubnet { entity, subnet }, "confirm-subnet", meta).await,
            Err(_) => Ok(()),
        }
    }

    /// The subcloud keeps the subnet it has.
    pub(super) async fn release_subnet(&self, entity: Uuid, meta: &Meta) -> Result<(), FleetError> {
        let directory = self.directory().await?;
        match directory.entry(entity).and_then(|entry| entry.next_subnet.clone()) {
            Some(subnet) => self.tell(&ReleaseSubnet { entity, subnet }, "release-subnet", meta).await,
            None => Ok(()),
        }
    }

    /// Ends what a crash left of a second subnet, unless a run is still to decide about it.
    pub(super) async fn settle_subnet(
        &self,
        entity: Uuid,
        entry: &Entry,
        subcloud: &Subcloud,
        meta: &Meta,
    ) -> Result<(), FleetError> {
        let Some(subnet) = entry.next_subnet.clone() else { return Ok(()) };
        if Subnet::parse(&subcloud.network.subnet).as_ref() == Ok(&subnet) {
            return self.tell(&ConfirmSubnet { entity, subnet }, "confirm-subnet", meta).await;
        }
        match target(subcloud).is_some_and(|task| goes_to(task, &subnet)) {
            true => Ok(()),
            false => self.tell(&ReleaseSubnet { entity, subnet }, "release-subnet", meta).await,
        }
    }

    /// Whether nothing but an active run is to decide about what the entry holds.
    pub(super) async fn waits_for_run(&self, entity: Uuid, entry: &Entry) -> Result<bool, FleetError> {
        let Some(subnet) =
            entry.next_subnet.as_ref().filter(|_| entry.confirmed && entry.next_name.is_none())
        else {
            return Ok(false);
        };
        let state = self.subcloud(entity).await?.state;
        Ok(state.as_deref().filter(|subcloud| !subcloud.deleted).and_then(target).is_some_and(|task| {
            goes_to(task, subnet) && entry.next_group.is_none_or(|next| task.group_id == Some(next))
        }))
    }
}

/// What the active run is to do, if it moves the subcloud to another network.
pub(super) fn target(subcloud: &Subcloud) -> Option<&NetworkTask> {
    match subcloud.run.as_ref()?.task.as_ref()? {
        Task::Network(task) => Some(task),
        _ => None,
    }
}

fn goes_to(task: &NetworkTask, subnet: &Subnet) -> bool {
    Subnet::parse(&task.addresses.network.subnet).as_ref() == Ok(subnet)
}
