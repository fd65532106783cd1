//! The values of a group and the rules they obey (fleet.md §2).

use serde::Serialize;

use super::{DEFAULT_GROUP_NAME, Rejection};

/// The longest name or description, in characters.
const LONGEST: usize = 254;
/// How a group's members may be worked on.
const APPLY_TYPES: [&str; 2] = ["parallel", "serial"];
/// Most members that may be worked on at once.
const MOST_PARALLEL: i64 = 500;

/// Everything about a new group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupValues {
    /// Unique name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `parallel` or `serial`.
    pub update_apply_type: String,
    /// How many members are worked on at once.
    pub max_parallel_subclouds: i64,
}

/// What may change about a group; an absent value stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GroupChanges {
    /// New name.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// `parallel` or `serial`.
    pub update_apply_type: Option<String>,
    /// How many members are worked on at once.
    pub max_parallel_subclouds: Option<i64>,
}

impl GroupValues {
    /// Checks name, description, apply type and parallelism, in this order. Returns the parallelism as it is recorded.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<u32, Rejection> {
        check_name(&self.name)?;
        check_description(&self.description)?;
        check_apply_type(&self.update_apply_type)?;
        check_max_parallel(self.max_parallel_subclouds)
    }
}

impl GroupChanges {
    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// fleet.md §2, `name`.
pub(super) fn check_name(name: &str) -> Result<(), Rejection> {
    let fits = !name.is_empty() && name.chars().count() <= LONGEST && !name.chars().any(char::is_control);
    // Only digits would be taken for an id.
    let names = !name.chars().all(char::is_numeric) && name != DEFAULT_GROUP_NAME;
    if fits && names { Ok(()) } else { Err(Rejection::InvalidName) }
}

/// fleet.md §2, `description`.
pub(super) fn check_description(description: &str) -> Result<(), Rejection> {
    let fits = (1..=LONGEST).contains(&description.chars().count()) && !description.contains('\0');
    if fits { Ok(()) } else { Err(Rejection::InvalidDescription) }
}

/// fleet.md §2, `update_apply_type`.
pub(super) fn check_apply_type(word: &str) -> Result<(), Rejection> {
    if APPLY_TYPES.contains(&word) { Ok(()) } else { Err(Rejection::InvalidApplyType) }
}

/// fleet.md §2, `max_parallel_subclouds`.
pub(super) fn check_max_parallel(count: i64) -> Result<u32, Rejection> {
    let within = (1..=MOST_PARALLEL).contains(&count).then_some(count);
    within.and_then(|count| u32::try_from(count).ok()).ok_or(Rejection::InvalidMaxParallel)
}
