//! What a projection is: tables of a version, and how a batch of events changes them.

use async_trait::async_trait;
use dcm_schemas::{Recorded, registry::Unreadable};
use sqlx::AnyConnection;

/// Folds events into the tables of one read model.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Name of the read model.
    fn name(&self) -> &'static str;

    /// The statements that create the tables of `version`, each safe to repeat.
    fn tables(&self, version: i64) -> Vec<String>;

    /// The names of its tables of `version`.
    fn table_names(&self, version: i64) -> Vec<String>;

    /// Applies `batch`, in journal order, to the tables of `version`; events of no concern are passed over.
    ///
    /// # Errors
    /// [`ProjectError`]; the caller then rolls back.
    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Recorded],
    ) -> Result<(), ProjectError>;
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
        cause: Unreadable,
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
}

impl ProjectError {
    /// Whether the same batch can succeed later without anybody's help.
    pub fn is_transient(&self) -> bool {
        match self {
            // The data itself is refused (SQLSTATE classes 22 and 23): it will be again.
            Self::Database(sqlx::Error::Database(refused)) => {
                !refused.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            }
            Self::Database(_) | Self::Journal(_) | Self::Fenced => true,
            Self::Unreadable { .. } | Self::Row(_) | Self::ForeignJournal { .. } => false,
        }
    }
}
