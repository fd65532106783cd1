//! The values of a peer group and the rules they obey (fleet.md §3.2, §3.3).

use serde::Serialize;

use super::Rejection;
use crate::value::SystemUuid;

/// The longest name, in characters.
const LONGEST: usize = 255;
/// What stands for "no peer group".
const NONE: &str = "none";
/// What a group's state may be.
const STATES: [&str; 2] = [DEFAULT_STATE, "disabled"];
/// The lowest rank of a copy.
const LOWEST_PRIORITY: i64 = 65_536;
/// Most members that may be rehomed at once.
const MOST_REHOMING: i64 = 250;

/// The priority of a group whose request does not say: this site owns it.
pub const DEFAULT_PRIORITY: i64 = 0;
/// The state of a group whose request does not say.
pub const DEFAULT_STATE: &str = "enabled";
/// How many members are rehomed at once if the request does not say.
pub const DEFAULT_MAX_REHOMING: i64 = 10;
/// The migration status while members are being rehomed.
pub const MIGRATING: &str = "migrating";
/// The migration status once they were.
pub const COMPLETE: &str = "complete";

/// Everything about a new peer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeerGroupValues {
    /// Unique name.
    pub peer_group_name: String,
    /// UUID of the system that manages the group, as it was sent.
    pub system_leader_id: String,
    /// Name of that system.
    pub system_leader_name: String,
    /// 0 if this site owns the group, else the rank of this copy.
    pub group_priority: i64,
    /// `enabled` or `disabled`.
    pub group_state: String,
    /// How many members are rehomed at once.
    pub max_subcloud_rehoming: i64,
}

/// What the migration status is set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusChange {
    /// There is none any more.
    Reset,
    /// One of the contract's words, in the case that was sent; `none` resets.
    To(String),
}

/// What may change about a peer group; an absent value stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeerGroupChanges {
    /// New name.
    pub peer_group_name: Option<String>,
    /// New priority.
    pub group_priority: Option<i64>,
    /// `enabled` or `disabled`.
    pub group_state: Option<String>,
    /// How many members are rehomed at once.
    pub max_subcloud_rehoming: Option<i64>,
    /// UUID of the system that manages the group.
    pub system_leader_id: Option<String>,
    /// Name of that system.
    pub system_leader_name: Option<String>,
    /// What is said about its migration.
    pub migration_status: Option<StatusChange>,
}

impl PeerGroupValues {
    /// Checks name, leader id, leader name, priority, state and parallelism, in this order.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Rejection> {
        check_name(&self.peer_group_name)?;
        check_leader_id(&self.system_leader_id)?;
        check_leader_name(&self.system_leader_name)?;
        check_priority(self.group_priority)?;
        check_state(&self.group_state)?;
        check_max_rehoming(self.max_subcloud_rehoming)
    }
}

impl PeerGroupChanges {
    /// Checks name, priority, state, parallelism, leader and migration status, in this order; those that are absent
    /// pass.
    ///
    /// # Errors
    /// [`Rejection::NothingToUpdate`] if all are absent, or the first rule that is broken.
    pub fn check(&self) -> Result<(), Rejection> {
        if *self == Self::default() {
            return Err(Rejection::NothingToUpdate);
        }
        self.peer_group_name.as_deref().map(check_name).transpose()?;
        self.group_priority.map(check_priority).transpose()?;
        self.group_state.as_deref().map(check_state).transpose()?;
        self.max_subcloud_rehoming.map(check_max_rehoming).transpose()?;
        self.system_leader_id.as_deref().map(check_leader_id).transpose()?;
        self.system_leader_name.as_deref().map(check_leader_name).transpose()?;
        self.migration_status.as_ref().map(StatusChange::check).transpose()?;
        Ok(())
    }
}

impl StatusChange {
    fn check(&self) -> Result<(), Rejection> {
        let known =
            |word: &String| [MIGRATING, COMPLETE, NONE].iter().any(|known| known.eq_ignore_ascii_case(word));
        match self {
            Self::To(word) if !known(word) => Err(Rejection::InvalidMigrationStatus),
            _ => Ok(()),
        }
    }

    /// The status that is stored.
    pub(super) fn stored(&self) -> Option<String> {
        match self {
            Self::To(word) if !word.eq_ignore_ascii_case(NONE) => Some(word.clone()),
            _ => None,
        }
    }
}

/// fleet.md §3.2, `peer-group-name`.
///
/// # Errors
/// [`Rejection::InvalidName`].
pub fn check_name(name: &str) -> Result<(), Rejection> {
    // Only digits would be taken for an id.
    let names = !name.chars().all(char::is_numeric) && !name.eq_ignore_ascii_case(NONE);
    if names && fits(name) { Ok(()) } else { Err(Rejection::InvalidName) }
}

fn check_leader_id(text: &str) -> Result<(), Rejection> {
    SystemUuid::parse(text).map(drop).ok_or(Rejection::InvalidLeaderId)
}

fn check_leader_name(name: &str) -> Result<(), Rejection> {
    if fits(name) { Ok(()) } else { Err(Rejection::InvalidLeaderName) }
}

fn check_priority(priority: i64) -> Result<(), Rejection> {
    if (0..=LOWEST_PRIORITY).contains(&priority) { Ok(()) } else { Err(Rejection::InvalidPriority) }
}

fn check_state(word: &str) -> Result<(), Rejection> {
    if STATES.contains(&word) { Ok(()) } else { Err(Rejection::InvalidState) }
}

fn check_max_rehoming(count: i64) -> Result<(), Rejection> {
    if (1..=MOST_REHOMING).contains(&count) { Ok(()) } else { Err(Rejection::InvalidMaxRehoming) }
}

fn fits(text: &str) -> bool {
    (1..=LONGEST).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
