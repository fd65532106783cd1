//! Ids that follow from the source, so that a run that goes on writes what the first one would have.

use dcm_domain::value::SecretRef;
use dcm_journal::repository::derived_id;
use uuid::Uuid;

/// The ids of one source.
#[derive(Clone, Debug)]
pub struct Ids {
    source: String,
}

impl Ids {
    /// The ids of the database that calls itself `source`.
    pub fn of(source: &str) -> Self {
        Self { source: source.to_owned() }
    }

    /// The uuid of the entity behind a row.
    pub fn entity(&self, table: &str, row: i64) -> Uuid {
        self.derived(&["entity", table, &row.to_string()])
    }

    /// The vault entry of one document or password of a row.
    pub fn secret(&self, table: &str, row: i64, purpose: &str) -> SecretRef {
        SecretRef(self.derived(&["secret", table, &row.to_string(), purpose]))
    }

    /// The region of a subcloud that had none: 32 hex digits, as the old service made them.
    pub fn region(&self, row: i64) -> String {
        self.derived(&["region", &row.to_string()]).simple().to_string()
    }

    /// The command that takes over `what`.
    pub fn command(&self, what: &str) -> Uuid {
        self.derived(&["command", what])
    }

    /// The stream of the take-over itself.
    pub fn take_over(&self) -> Uuid {
        self.derived(&["take-over"])
    }

    fn derived(&self, parts: &[&str]) -> Uuid {
        let parts: Vec<&[u8]> =
            ["dcmanager", &self.source].into_iter().chain(parts.iter().copied()).map(str::as_bytes).collect();
        derived_id(&parts)
    }
}
