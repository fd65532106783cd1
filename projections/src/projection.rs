//! What a projection is: tables, and how a batch of events changes them.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_schemas::registry::Unreadable;
use sqlx::AnyConnection;

use crate::batch::Event;
use crate::memory::Memory;
use crate::table::Table;
use crate::writing::Writing;

/// Folds events into the tables of one read model.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Name of the read model.
    fn name(&self) -> &'static str;

    /// Generation of its tables: raised with every change of their shape or meaning, so that a version which another
    /// generation made is known and filled anew.
    fn generation(&self) -> i64 {
        1
    }

    /// Whether tables of `generation` can be read and folded into by this program: if so, they serve until new ones are
    /// filled; else nothing is folded that long, and what is asked of them may fail.
    fn knows(&self, generation: i64) -> bool {
        generation == self.generation()
    }

    /// Its tables.
    fn tables(&self) -> Vec<Table>;

    /// Names of tables, without a version, that it had in earlier generations and has no more: they go with the versions that
    /// they belong to.
    fn former_tables(&self) -> &'static [&'static str] {
        &[]
    }

    /// How its rows hang together with streams.
    fn source(&self) -> Source;

    /// Applies `batch`, in journal order, to the tables of `version`; events of no concern are passed over.
    ///
    /// # Errors
    /// [`ProjectError`]; the caller then rolls back.
    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Event],
    ) -> Result<(), ProjectError>;

    /// As [`apply`](Self::apply), of the batch that follows the one `memory` is from: rows it remembers need not be read.
    /// The caller drops the memory with a batch that it does not commit.
    ///
    /// # Errors
    /// [`ProjectError`]; the caller then rolls back.
    async fn go_on(
        &self,
        writing: &mut Writing<'_>,
        version: i64,
        batch: &[Event],
        _memory: &mut Memory,
    ) -> Result<(), ProjectError> {
        self.apply(writing.connection(), version, batch).await
    }

    /// Whether [`go_on`](Self::go_on) changes anything for `event` otherwise than through [`Writing`], so that it needs a
    /// transaction around it.
    ///
    /// # Errors
    /// [`ProjectError::Unreadable`].
    fn needs_transaction(&self, _event: &Event) -> Result<bool, ProjectError> {
        Ok(true)
    }
}

/// Which streams make which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Streams of this kind; each makes the rows that have its uuid in the column `uuid`, and no other stream does.
    Each(&'static str),
    /// Several streams together make the rows: single streams cannot be compared with them.
    Together,
}

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The read models' database failed; trying again may help.
    #[error("the read models are not available: {0}")]
    Database(#[from] sqlx::Error),
    /// The journal could not be read; trying again may help.
    #[error(transparent)]
    Journal(#[from] dcm_journal::store::ReadError),
    /// An event this program cannot use: the projector stops in front of it.
    #[error("event {position}: {cause}")]
    Unreadable {
        /// Where it is.
        position: dcm_schemas::Position,
        /// Why.
        cause: Arc<Unreadable>,
    },
    /// A row cannot be rendered: a defect of its type.
    #[error("a row cannot be written: {0}")]
    Row(#[from] serde_json::Error),
    /// Another projector is at work: this one is fenced off.
    #[error("another projector moved the checkpoint")]
    Fenced,
    /// The checkpoint is of another journal, or ahead of this one.
    #[error(
        "the read model {name} belongs to another journal, or is ahead of it; rebuild it into an empty database"
    )]
    ForeignJournal {
        /// The read model.
        name: &'static str,
    },
    /// Each read model stopped in front of an event that it cannot take.
    #[error("every read model has stopped")]
    AllStopped,
}

impl ProjectError {
    /// Whether the same batch can succeed later without anybody's help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(refused)) => {
                !refused.code().is_some_and(|code| is_refusal(&code))
            }
            Self::Database(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => false,
            Self::Database(_) | Self::Journal(_) | Self::Fenced => true,
            Self::Unreadable { .. } | Self::Row(_) | Self::ForeignJournal { .. } | Self::AllStopped => false,
        }
    }

    /// What is wrong, for anyone to read: nothing that the database said about its rows.
    pub fn public_reason(&self) -> String {
        match self {
            Self::Database(sqlx::Error::Database(refused)) => {
                let code = refused.code().unwrap_or_default();
                format!("the database refuses its rows (code {code})")
            }
            Self::Database(_) => "the read models are not available".to_owned(),
            Self::Journal(_) => "the journal is not available".to_owned(),
            Self::Unreadable { cause, .. } => match &**cause {
                Unreadable::Damaged { name, version, .. } => {
                    format!("event {name} version {version} is damaged")
                }
                other => other.to_string(),
            },
            Self::Row(_) => "a row cannot be written".to_owned(),
            Self::Fenced | Self::ForeignJournal { .. } | Self::AllStopped => self.to_string(),
        }
    }
}

/// Whether a database says with `code` that it will never take this: SQLSTATE's classes of data (22), of constraints (23),
/// of names and syntax (42) and of limits (54), and what SQLite has for them.
fn is_refusal(code: &str) -> bool {
    match (code.len(), code.parse::<u32>()) {
        // SQLite: error, too big, constraint, mismatch, range; in the lowest byte.
        (..5, Ok(number)) => [1, 18, 19, 20, 25].contains(&(number & 0xff)),
        _ => ["22", "23", "42", "54"].iter().any(|class| code.starts_with(class)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_refuses_for_good_is_known_of_both() {
        for code in ["22021", "23505", "42P01", "54000", "1555", "2067", "19", "18", "1"] {
            assert!(is_refusal(code), "{code}");
        }
        // Shut down, serialisation, connection, disk full, busy, locked, out of memory, full.
        for code in ["57P01", "40001", "08006", "53100", "5", "6", "7", "13", "517", "10"] {
            assert!(!is_refusal(code), "{code}");
        }
    }
}
