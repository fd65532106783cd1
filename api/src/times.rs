//! When an entity of a small kind was added and last changed, as the answer to a command says it.

use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::ImportedTimes;
use dcm_domain::value::Timestamp;
use dcm_journal::repository::Loaded;

/// When an entity was added and last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed; `None` since it was added.
    pub updated_at: Option<Timestamp>,
}

/// The times of what was loaded, which may be `imported`; `changed` if its last event changed what is shown of it.
/// `None` for a stream without events.
pub fn times<A: Aggregate>(
    loaded: &Loaded<A>,
    imported: Option<ImportedTimes>,
    changed: bool,
) -> Option<Times> {
    let began = loaded.created_at?;
    let created_at = imported.and_then(|times| times.created_at).unwrap_or(began);
    let updated_at = match changed {
        true => Some(loaded.changed_at()),
        false => imported.and_then(|times| times.updated_at),
    };
    Some(Times { created_at, updated_at })
}
