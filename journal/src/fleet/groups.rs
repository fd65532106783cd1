//! Groups and who is in them: a group is deleted only while no subcloud is in it or on its way into it.

use dcm_domain::aggregate::{Command, Facts};
use dcm_domain::directory::{
    CloseGroup, Directory, MoveToGroup, Rejection as DirectoryRejection, ReleaseGroupMove, ReopenGroup,
    ReserveGroupMove,
};
use dcm_domain::group::command::DeleteSubcloudGroup;
use dcm_domain::group::{Rejection as GroupRejection, SubcloudGroup};
use dcm_domain::reservation::{InTime, InTimeRejection};
use dcm_domain::subcloud::{Rejection, Subcloud};
use dcm_domain::value::Timestamp;
use uuid::Uuid;

use super::{Fleet, FleetError, stream};
use crate::collection::{CollectionError, Lookup, is_stale};
use crate::repository::{CommandError, Done, Meta, Unavailable};

impl Fleet {
    /// The subcloud stays in the group it is in.
    pub(super) async fn release_group_move(&self, entity: Uuid, meta: &Meta) -> Result<(), FleetError> {
        let directory = self.directory().await?;
        match directory.entry(entity).and_then(|entry| entry.next_group) {
            Some(group_id) => self.tell(&ReleaseGroupMove { entity, group_id }, "release-group", meta).await,
            None => Ok(()),
        }
    }

    /// Carries out a command that may move the subcloud to the group `group_id`, which exists: a place is reserved there,
    /// the subcloud is changed, and only then the old group is left.
    ///
    /// # Errors
    /// [`FleetError`]; then nothing was changed. [`DirectoryRejection::GroupClosed`] if the group is being deleted.
    pub async fn run_moving<C>(
        &self,
        entity: Uuid,
        group_id: Option<i64>,
        command: &C,
        meta: &Meta,
    ) -> Result<Done<Subcloud>, FleetError>
    where
        C: Command<Subcloud, Rejection = Rejection>,
    {
        let Some(group_id) = group_id else { return self.run(entity, command, meta).await };
        let reserve = ReserveGroupMove { entity, group_id };
        let step = meta.step("reserve-group");
        let reserved = self.directory.run(&self.directory_stream, &reserve, &step).await?;
        let directory = reserved.loaded.state.unwrap_or_default();
        let entry = directory.entry(entity).ok_or(FleetError::Directory(DirectoryRejection::Unknown))?;
        if entry.next_group != Some(group_id) {
            // It is in the group already.
            return self.run(entity, command, meta).await;
        }
        let in_time = InTime { command, reserved_at: entry.reserved_at };
        let release = ReleaseGroupMove { entity, group_id };
        match self.subclouds.run(&stream::<Subcloud>(entity), &in_time, meta).await {
            Ok(done) => {
                match done.loaded.state.as_deref().is_some_and(|subcloud| subcloud.group_id == group_id) {
                    true => self.tell(&MoveToGroup { entity, group_id }, "move-to-group", meta).await?,
                    false => self.tell(&release, "release-group", meta).await?,
                }
                Ok(done)
            }
            Err(CommandError::Rejected(InTimeRejection::Refused(rejection))) => {
                self.tell(&release, "release-group", meta).await?;
                Err(FleetError::Subcloud(rejection))
            }
            // Whoever finds it stale releases it, or has: what is reserved by now may be another request's.
            Err(CommandError::Rejected(InTimeRejection::Stale)) => {
                Err(FleetError::Directory(DirectoryRejection::MoveUnderWay))
            }
            Err(CommandError::IdReused) => Err(FleetError::IdReused),
            // The outcome is not known: the reservation is settled once it is.
            Err(CommandError::Unavailable(cause)) => Err(cause.into()),
        }
    }

    /// Deletes a group (fleet.md §2, F6): no subcloud can join it from then on.
    ///
    /// # Errors
    /// [`CollectionError`]; [`GroupRejection::NotEmpty`] if a subcloud is in it.
    pub async fn delete_group(
        &self,
        group: Uuid,
        meta: &Meta,
    ) -> Result<Done<SubcloudGroup>, CollectionError<GroupRejection>> {
        let groups = &self.collections.groups;
        let state = groups.load(group).await?.state;
        // Before anything is closed for it.
        let facts = Facts { now: Timestamp::from(chrono::Utc::now()) };
        DeleteSubcloudGroup.decide(state.as_deref(), &facts).map_err(CollectionError::Rejected)?;
        let group_id = state.map(|group| group.id).unwrap_or_default();
        let closed_at = self.close_group(group_id, meta).await?;
        groups.remove(group, &DeleteSubcloudGroup, Some(closed_at), meta).await
    }

    async fn close_group(
        &self,
        group_id: i64,
        meta: &Meta,
    ) -> Result<Timestamp, CollectionError<GroupRejection>> {
        let close = CloseGroup { group_id };
        match self.directory.run(&self.directory_stream, &close, &meta.step("close-group")).await {
            Ok(done) => {
                let at = done.loaded.state.and_then(|directory| directory.group_closed_at(group_id));
                at.ok_or(CollectionError::Stale)
            }
            Err(CommandError::Rejected(_)) => Err(CollectionError::Rejected(GroupRejection::NotEmpty)),
            Err(CommandError::IdReused) => Err(CollectionError::IdReused),
            Err(CommandError::Unavailable(cause)) => Err(cause.into()),
        }
    }

    /// Reopens groups that were closed for deletions that came to nothing: those that are stale at `now` and still
    /// exist. Returns how many.
    pub(super) async fn settle_groups(
        &self,
        directory: &Directory,
        now: Timestamp,
        meta: &Meta,
    ) -> Result<usize, FleetError> {
        let meta = Meta { command_id: Uuid::now_v7(), ..meta.clone() };
        let mut settled = 0;
        for (group_id, closed_at) in directory.closed_groups() {
            if is_stale(closed_at, now) && self.group_exists(group_id).await? {
                let step = format!("reopen-group {group_id}");
                self.tell(&ReopenGroup { group_id, closed_at }, &step, &meta).await?;
                settled += 1;
            }
        }
        Ok(settled)
    }

    async fn group_exists(&self, group_id: i64) -> Result<bool, Unavailable> {
        let groups = &self.collections.groups;
        let Some(group) = groups.resolve(Lookup::Id(group_id)).await? else { return Ok(false) };
        Ok(groups.load(group).await?.state.is_some_and(|group| !group.deleted))
    }
}
