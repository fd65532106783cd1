//! From a URL to a journal.

use std::{path::Path, sync::Arc};

use dcm_schemas::JournalId;
use uuid::Uuid;

use super::{
    Journal,
    adapter::SqlJournal,
    ends::Ends,
    esdb,
    group_commit::GroupCommit,
    group_look::GroupLook,
    postgres,
    sql::{Connect, FORMAT, Reader, Session, in_time, unsigned},
    sqlite,
};

/// Why a journal could not be opened, and what to do. Never shows a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither kind of URL.
    #[error(
        "not a journal URL; use `embedded:`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE` or \
         `esdb://USER:PASSWORD@HOST:PORT`"
    )]
    Url,
    /// An option of the URL is unknown, or has a value it cannot have.
    #[error("the journal's URL: {option}: {problem}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The embedded file, or its directory, could not be made.
    #[error("cannot create {path}: {cause}; make its directory writable, or choose another --data-dir")]
    NotCreated {
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The store is not there, or does not let us in, or is damaged.
    #[error("cannot open the journal {place}: {reason}; {advice}")]
    Unusable {
        /// File, or URL without password.
        place: String,
        /// What the store said.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// Written by another generation of this program.
    #[error(
        "the journal {place} has format {found}; this program reads and writes format {FORMAT}: use the one that wrote it"
    )]
    Format {
        /// File, or URL without password.
        place: String,
        /// Its format.
        found: i64,
    },
}

/// Opens the journal at `url`: `embedded:` is a file in `data_dir` (created as needed, with its directory), `postgres://…`
/// a database that exists, `esdb://…` or `esdb+discover://…` an EventStoreDB / KurrentDB. Tables are created as needed. Must
/// be called in a tokio runtime, which then does the writing.
///
/// # Errors
/// See [`OpenError`]; bounded in time.
pub async fn open(url: &str, data_dir: &Path) -> Result<Arc<dyn Journal>, OpenError> {
    match url.split_once(':') {
        Some(("embedded", "")) => sqlite::open(data_dir).await,
        Some(("postgres" | "postgresql", _)) => postgres::open(url).await,
        Some(("esdb" | "esdb+discover", _)) => esdb::open(url).await,
        _ => Err(OpenError::Url),
    }
}

/// Creates what is missing, learns the journal's id, and starts its writer.
pub(super) async fn assemble<C: Connect, R: Reader + 'static>(
    place: &str,
    connect: C,
    reader: R,
    unusable: impl Fn(&sqlx::Error) -> OpenError,
) -> Result<Arc<dyn Journal>, OpenError> {
    let opened = in_time(async {
        let mut session = connect.connect().await?;
        let (id, format) = session.create(Uuid::now_v7().to_string()).await?;
        Ok((session, id, format))
    });
    let (session, id, format) = opened.await.map_err(|error| unusable(&error))?;
    if format != FORMAT {
        return Err(OpenError::Format { place: place.to_owned(), found: format });
    }
    let id = Uuid::try_parse(&id).map_err(|error| unusable(&sqlx::Error::Decode(error.into())))?;
    let head = reader.head().await.and_then(unsigned).map_err(|error| unusable(&error))?;
    let id = JournalId(id);
    let (connect, ends) = (Arc::new(connect), Arc::new(Ends::new()));
    let looks = GroupLook::start(Arc::clone(&connect), Arc::clone(&ends));
    let writer = GroupCommit::start(id, head, connect, Arc::clone(&ends), Some(session));
    Ok(Arc::new(SqlJournal { id, reader, ends, looks, writer }))
}
