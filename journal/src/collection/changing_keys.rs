//! Commands that may change an entity's keys: no other keys are ever left than those that are reserved for it.
//!
//! What a command would leave is looked up first, for the reservation comes before the decision. Another request may
//! change the entity in between, so the decision is made only if it leaves what is reserved, or changes no key where
//! nothing is; otherwise it begins anew.

use dcm_domain::aggregate::{Command, Facts};
use dcm_domain::key_directory::{
    ConfirmKeyChange, Holding, HoldingRejection, Keys, Listed, ReleaseKeyChange, ReserveKeyChange, keys_after,
};
use dcm_domain::reservation::{InTime, InTimeRejection};
use dcm_domain::value::Timestamp;
use uuid::Uuid;

use super::{Collection, CollectionError, Outcome, entry_of, refused, stream, unknown};
use crate::repository::{CommandError, Done, Meta, Unavailable};

/// How often a command is begun anew because another request changed the entity's keys.
const ATTEMPTS: u32 = 8;

impl<A: Listed> Collection<A> {
    /// Carries out a command that may change the entity's keys: reserves those it leaves, changes the entity, frees the
    /// others.
    ///
    /// # Errors
    /// [`CollectionError`]; the command's own refusal comes before that of the directory. Then nothing was changed.
    pub async fn run_changing_keys<C>(&self, entity: Uuid, command: &C, meta: &Meta) -> Outcome<Done<A>, A>
    where
        C: Command<A, Rejection = A::Rejection>,
    {
        for attempt in 0..ATTEMPTS {
            let done = match self.other_keys(entity, command).await? {
                None => self.keep_keys(entity, command, meta).await?,
                // Every attempt reserves and releases under ids of its own.
                Some(keys) => {
                    let steps = meta.step(&format!("keys {attempt}"));
                    self.change_keys(entity, keys, command, meta, &steps).await?
                }
            };
            if let Some(done) = done {
                return Ok(done);
            }
        }
        Err(Unavailable::Contended.into())
    }

    /// The keys that the command would leave, if they are not those the entity has.
    async fn other_keys<C>(&self, entity: Uuid, command: &C) -> Outcome<Option<Keys>, A>
    where
        C: Command<A, Rejection = A::Rejection>,
    {
        let loaded = self.load(entity).await?;
        let state = loaded.state.as_deref();
        let facts = Facts { now: Timestamp::from(chrono::Utc::now()) };
        let events = command.decide(state, &facts).map_err(CollectionError::Rejected)?;
        Ok(keys_after(state, &events).filter(|keys| state.is_none_or(|entity| entity.keys() != *keys)))
    }

    /// Carries out a command that keeps the entity's keys; `None` if it would change them by now.
    async fn keep_keys<C>(&self, entity: Uuid, command: &C, meta: &Meta) -> Outcome<Option<Done<A>>, A>
    where
        C: Command<A, Rejection = A::Rejection>,
    {
        let holding = Holding { command, reserved: None };
        match self.entities.run(&stream::<A>(entity), &holding, meta).await {
            Ok(done) => Ok(Some(done)),
            Err(CommandError::Rejected(rejection)) => own(rejection),
            Err(CommandError::IdReused) => Err(CollectionError::IdReused),
            Err(CommandError::Unavailable(cause)) => Err(cause.into()),
        }
    }

    /// Carries out a command that leaves `keys`; `None` if it would leave others by now, or they are the entity's own.
    async fn change_keys<C>(
        &self,
        entity: Uuid,
        keys: Keys,
        command: &C,
        meta: &Meta,
        steps: &Meta,
    ) -> Outcome<Option<Done<A>>, A>
    where
        C: Command<A, Rejection = A::Rejection>,
    {
        let reserve = ReserveKeyChange { entity, keys: keys.clone() };
        let reserved = self.directory.run(&self.stream, &reserve, &steps.step("reserve-keys")).await;
        let entry = entry_of(reserved.map_err(refused::<A>)?, entity).ok_or_else(unknown::<A>)?;
        if entry.next_keys.as_ref() != Some(&keys) {
            return Ok(None);
        }
        let holding = Holding { command, reserved: Some(&keys) };
        let in_time = InTime { command: &holding, reserved_at: entry.reserved_at };
        let ran = self.entities.run(&stream::<A>(entity), &in_time, meta).await;
        match ran {
            Ok(done) => {
                self.tell(&ConfirmKeyChange { entity, keys }, "confirm-keys", steps).await?;
                Ok(Some(done))
            }
            Err(CommandError::Rejected(InTimeRejection::Refused(rejection))) => {
                self.tell(&ReleaseKeyChange { entity, keys }, "release-keys", steps).await?;
                own(rejection)
            }
            // Whoever finds the reservation stale releases it, or has.
            Err(CommandError::Rejected(InTimeRejection::Stale)) => Err(CollectionError::Stale),
            Err(CommandError::IdReused) => Err(CollectionError::IdReused),
            // The outcome is not known: the reservation is settled once it is.
            Err(CommandError::Unavailable(cause)) => Err(cause.into()),
        }
    }
}

/// The command's own refusal; none if it only has to begin anew.
fn own<T, R: std::error::Error>(rejection: HoldingRejection<R>) -> Result<Option<T>, CollectionError<R>> {
    match rejection {
        HoldingRejection::OtherKeys => Ok(None),
        HoldingRejection::Refused(rejection) => Err(CollectionError::Rejected(rejection)),
    }
}
