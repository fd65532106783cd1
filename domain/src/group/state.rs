//! The state of a group.

use super::{Rejection, SubcloudGroupEvent, command::AbandonSubcloudGroup, name_key};
use crate::aggregate::{Aggregate, Unfoldable};
use crate::key_directory::{KeyEntry, Keys, Listed};
use crate::value::Timestamp;

/// A subcloud group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubcloudGroup {
    /// The small integer the contract shows.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `parallel` or `serial`.
    pub update_apply_type: String,
    /// How many members are worked on at once.
    pub max_parallel_subclouds: i64,
    /// When it was added and last changed in the installation it was taken over from.
    pub imported: Option<(Timestamp, Option<Timestamp>)>,
    /// Whether it is gone, or never began.
    pub deleted: bool,
}

impl Aggregate for SubcloudGroup {
    type Event = SubcloudGroupEvent;

    const KIND: &'static str = "subcloud-group";

    fn evolve(state: Option<Self>, event: &SubcloudGroupEvent) -> Result<Self, Unfoldable> {
        use SubcloudGroupEvent as E;
        match (state, event) {
            (None, E::SubcloudGroupAdded(added)) => Ok(Self {
                id: added.id,
                name: added.name.clone(),
                description: added.description.clone(),
                update_apply_type: added.update_apply_type.clone(),
                max_parallel_subclouds: added.max_parallel_subclouds.into(),
                imported: None,
                deleted: false,
            }),
            (None, E::SubcloudGroupImported(imported)) => Ok(Self {
                id: imported.id,
                name: imported.name.clone(),
                description: imported.description.clone(),
                update_apply_type: imported.update_apply_type.clone(),
                max_parallel_subclouds: imported.max_parallel_subclouds,
                imported: Some((imported.created_at, imported.updated_at)),
                deleted: false,
            }),
            (None, E::SubcloudGroupAbandoned(abandoned)) => Ok(Self {
                id: abandoned.id,
                name: String::new(),
                description: String::new(),
                update_apply_type: String::new(),
                max_parallel_subclouds: 0,
                imported: None,
                deleted: true,
            }),
            (Some(mut state), E::SubcloudGroupUpdated(updated)) if !state.deleted => {
                let updated = updated.clone();
                state.name = updated.name.unwrap_or(state.name);
                state.description = updated.description.unwrap_or(state.description);
                state.update_apply_type = updated.update_apply_type.unwrap_or(state.update_apply_type);
                state.max_parallel_subclouds =
                    updated.max_parallel_subclouds.unwrap_or(state.max_parallel_subclouds);
                Ok(state)
            }
            (Some(state), E::SubcloudGroupDeleted(_)) if !state.deleted => {
                Ok(Self { deleted: true, ..state })
            }
            (_, event) => Err(Unfoldable { aggregate: Self::KIND, event: format!("{event:?}") }),
        }
    }
}

impl Listed for SubcloudGroup {
    type Rejection = Rejection;
    type Abandon = AbandonSubcloudGroup;

    fn id(&self) -> i64 {
        self.id
    }

    fn keys(&self) -> Keys {
        [name_key(&self.name)].into()
    }

    fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn abandon(entry: &KeyEntry) -> AbandonSubcloudGroup {
        AbandonSubcloudGroup { id: entry.id }
    }
}
