//! Peer groups and system peers, which associations refer to: neither is deleted while one does, also not while one is
//! being made.

use dcm_domain::aggregate::{Command, Facts};
use dcm_domain::association::{
    peer_group_reference, referred_peer_group, referred_system_peer, system_peer_reference,
};
use dcm_domain::key_directory::{Listed, Rejection as DirectoryRejection};
use dcm_domain::peer_group::command::DeletePeerGroup;
use dcm_domain::peer_group::{self, SubcloudPeerGroup};
use dcm_domain::system_peer::command::DeleteSystemPeer;
use dcm_domain::system_peer::{self, SystemPeer};
use dcm_domain::value::Timestamp;
use uuid::Uuid;

use crate::collection::{Collection, CollectionError, Lookup};
use crate::collections::Collections;
use crate::repository::{Done, Meta, Unavailable};

impl Collections {
    /// Deletes a peer group that no association refers to; its members are not touched (fleet.md §3.6).
    ///
    /// # Errors
    /// [`peer_group::Rejection::Associated`] and others; then nothing was changed.
    pub async fn delete_peer_group(
        &self,
        group: Uuid,
        meta: &Meta,
    ) -> Result<Done<SubcloudPeerGroup>, CollectionError<peer_group::Rejection>> {
        self.delete(&self.peer_groups, group, &DeletePeerGroup, peer_group_reference, meta).await
    }

    /// Deletes a system peer that no association refers to (fleet.md §5, F21).
    ///
    /// # Errors
    /// [`system_peer::Rejection::Associated`] and others; then nothing was changed.
    pub async fn delete_system_peer(
        &self,
        peer: Uuid,
        meta: &Meta,
    ) -> Result<Done<SystemPeer>, CollectionError<system_peer::Rejection>> {
        self.delete(&self.system_peers, peer, &DeleteSystemPeer, system_peer_reference, meta).await
    }

    /// Closes the reference among associations, then deletes; what fails after that reopens it, unless its outcome is
    /// not known: then it is settled later. It also stays closed if another request has deleted the entity meanwhile.
    async fn delete<A, C>(
        &self,
        kind: &Collection<A>,
        entity: Uuid,
        command: &C,
        reference: impl FnOnce(i64) -> String + Send,
        meta: &Meta,
    ) -> Result<Done<A>, CollectionError<<A as Listed>::Rejection>>
    where
        A: Listed,
        C: Command<A, Rejection = <A as Listed>::Rejection>,
    {
        let state = kind.load(entity).await?.state;
        // Before anything is closed for it.
        let facts = Facts { now: Timestamp::from(chrono::Utc::now()) };
        command.decide(state.as_deref(), &facts).map_err(CollectionError::Rejected)?;
        let reference = reference(state.map(|state| state.id()).unwrap_or_default());
        let closed_at = self.associations.close_reference(&reference, meta).await.map_err(told::<A>)?;
        let removed = kind.remove(entity, command, Some(closed_at), meta).await;
        if let Err(CollectionError::Rejected(_) | CollectionError::Stale) = &removed
            && kind.load(entity).await?.state.is_some_and(|state| !state.is_deleted())
            && let Err(error) = self.associations.reopen_reference(&reference, closed_at, meta).await
        {
            tracing::warn!(reference, %error, "stays closed until it is settled");
        }
        removed
    }

    /// Reopens what was closed for deletions that came to nothing. Returns how many were reopened.
    pub(crate) async fn settle_peering(&self, now: Timestamp, meta: &Meta) -> Result<usize, Unavailable> {
        self.associations.settle_references(now, meta, |reference| self.exists(reference)).await
    }

    async fn exists(&self, reference: String) -> Result<bool, Unavailable> {
        let found = match (referred_peer_group(&reference), referred_system_peer(&reference)) {
            (Some(id), _) => self.peer_groups.resolve(Lookup::Id(id)).await?,
            (_, Some(id)) => self.system_peers.resolve(Lookup::Id(id)).await?,
            (None, None) => None,
        };
        Ok(found.is_some())
    }
}

/// The directory's refusal as one of the kind that is deleted.
fn told<A: Listed>(error: CollectionError<DirectoryRejection>) -> CollectionError<<A as Listed>::Rejection> {
    match error {
        CollectionError::Rejected(rejection) => CollectionError::Rejected(rejection.into()),
        CollectionError::Stale => CollectionError::Stale,
        CollectionError::IdReused => CollectionError::IdReused,
        CollectionError::Unavailable(cause) => CollectionError::Unavailable(cause),
    }
}
