//! The state of a peer group.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::command::AbandonPeerGroup;
use super::{
    COMPLETE, MIGRATING, MigrationMember, MigrationRequested, Rejection, SubcloudPeerGroupEvent,
    SubcloudPeerGroupImported, SubcloudPeerGroupUpdated, SystemLeader, name_key,
};
use crate::aggregate::{Aggregate, Unfoldable};
use crate::key_directory::{KeyEntry, Keys, Listed};
use crate::subcloud::ImportedTimes;

/// A migration whose runs have not all ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The migration.
    pub run_id: Uuid,
    /// Who is rehomed.
    pub members: Vec<MigrationMember>,
    /// Who leads the group afterwards, if that is known.
    pub leader: Option<SystemLeader>,
}

impl Migration {
    /// Whether it was under way elsewhere when its group was taken over.
    pub fn is_imported(&self) -> bool {
        self.run_id.is_nil()
    }
}

/// A subcloud peer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubcloudPeerGroup {
    /// The small integer the contract shows.
    pub id: i64,
    /// Unique name.
    pub peer_group_name: String,
    /// 0 if this site owns the group, else the rank of this copy.
    pub group_priority: i64,
    /// `enabled` or `disabled`.
    pub group_state: String,
    /// How many members are rehomed at once.
    pub max_subcloud_rehoming: i64,
    /// UUID of the system that manages the group.
    pub system_leader_id: Option<String>,
    /// Name of that system.
    pub system_leader_name: Option<String>,
    /// `migrating`, `complete`, or nothing.
    pub migration_status: Option<String>,
    /// The migration under way.
    pub migration: Option<Migration>,
    /// The times of the row it was imported from; `None` if it was added here.
    pub imported: Option<ImportedTimes>,
    /// Whether it is gone, or never began.
    pub deleted: bool,
}

impl SubcloudPeerGroup {
    fn imported(row: &SubcloudPeerGroupImported) -> Self {
        let row = row.clone();
        Self {
            id: row.id,
            peer_group_name: row.peer_group_name,
            group_priority: row.group_priority,
            group_state: row.group_state,
            max_subcloud_rehoming: row.max_subcloud_rehoming,
            system_leader_id: row.system_leader_id,
            system_leader_name: row.system_leader_name,
            // Nobody works on a migration that was under way elsewhere: it ends like one whose runs are all over.
            migration: row
                .migration_status
                .as_deref()
                .filter(|word| word.eq_ignore_ascii_case(MIGRATING))
                .map(|_| Migration { run_id: Uuid::nil(), members: Vec::new(), leader: None }),
            migration_status: row.migration_status,
            imported: Some(ImportedTimes { created_at: Some(row.created_at), updated_at: row.updated_at }),
            deleted: false,
        }
    }

    fn abandoned(id: i64) -> Self {
        Self {
            id,
            peer_group_name: String::new(),
            group_priority: 0,
            group_state: String::new(),
            max_subcloud_rehoming: 0,
            system_leader_id: None,
            system_leader_name: None,
            migration_status: None,
            migration: None,
            imported: None,
            deleted: true,
        }
    }

    fn update(&mut self, updated: &SubcloudPeerGroupUpdated) {
        fn take<T: Clone>(held: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                held.clone_from(given);
            }
        }
        take(&mut self.peer_group_name, updated.peer_group_name.as_ref());
        take(&mut self.group_priority, updated.group_priority.as_ref());
        take(&mut self.group_state, updated.group_state.as_ref());
        take(&mut self.max_subcloud_rehoming, updated.max_subcloud_rehoming.as_ref());
        if updated.system_leader_id.is_some() {
            self.system_leader_id.clone_from(&updated.system_leader_id);
        }
        if updated.system_leader_name.is_some() {
            self.system_leader_name.clone_from(&updated.system_leader_name);
        }
    }

    fn migrate(&mut self, requested: &MigrationRequested) {
        let MigrationRequested { run_id, members, leader } = requested.clone();
        self.migration_status = Some(MIGRATING.to_owned());
        self.migration = Some(Migration { run_id, members, leader });
    }
}

impl Aggregate for SubcloudPeerGroup {
    type Event = SubcloudPeerGroupEvent;

    const KIND: &'static str = "subcloud-peer-group";

    fn evolve(state: Option<Self>, event: &SubcloudPeerGroupEvent) -> Result<Self, Unfoldable> {
        use SubcloudPeerGroupEvent as E;
        let unfoldable = || Unfoldable { aggregate: Self::KIND, event: format!("{event:?}") };
        let Some(mut state) = state else {
            return match event {
                E::SubcloudPeerGroupAdded(added) => Ok(added.into()),
                E::SubcloudPeerGroupImported(row) => Ok(Self::imported(row)),
                E::SubcloudPeerGroupAbandoned(abandoned) => Ok(Self::abandoned(abandoned.id)),
                _ => Err(unfoldable()),
            };
        };
        if state.deleted {
            return Err(unfoldable());
        }
        match event {
            E::SubcloudPeerGroupUpdated(updated) => state.update(updated),
            E::MigrationStatusChanged(changed) => state.migration_status.clone_from(&changed.to),
            E::MigrationRequested(requested) => state.migrate(requested),
            E::MigrationFinished(finished) => {
                state.migration = None;
                state.migration_status.clone_from(&finished.status);
            }
            E::SubcloudPeerGroupDeleted(_) => state.deleted = true,
            E::SubcloudPeerGroupAdded(_)
            | E::SubcloudPeerGroupImported(_)
            | E::SubcloudPeerGroupAbandoned(_) => return Err(unfoldable()),
        }
        Ok(state)
    }
}

impl From<&super::SubcloudPeerGroupAdded> for SubcloudPeerGroup {
    fn from(added: &super::SubcloudPeerGroupAdded) -> Self {
        let added = added.clone();
        Self {
            id: added.id,
            peer_group_name: added.peer_group_name,
            group_priority: added.group_priority,
            group_state: added.group_state,
            max_subcloud_rehoming: added.max_subcloud_rehoming,
            system_leader_id: Some(added.system_leader_id),
            system_leader_name: Some(added.system_leader_name),
            migration_status: None,
            migration: None,
            imported: None,
            deleted: false,
        }
    }
}

impl Listed for SubcloudPeerGroup {
    type Rejection = Rejection;
    type Abandon = AbandonPeerGroup;

    fn id(&self) -> i64 {
        self.id
    }

    fn keys(&self) -> Keys {
        [name_key(&self.peer_group_name)].into()
    }

    fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn abandon(entry: &KeyEntry) -> AbandonPeerGroup {
        AbandonPeerGroup { id: entry.id }
    }
}

/// The status a finished migration leaves.
pub(super) fn final_status(completed: u32) -> Option<String> {
    (completed > 0).then(|| COMPLETE.to_owned())
}
