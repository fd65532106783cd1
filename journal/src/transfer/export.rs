//! A journal as lines of JSON: a head, then one event per line, byte for byte as it is stored.

use dcm_schemas::JournalId;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::PAGE;
use crate::store::{Journal, ReadError};

/// What the first line says it is.
pub(super) const FORMAT: &str = "dcm-journal";
/// Version of the lines' shapes.
pub(super) const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub format: String,
    pub version: u32,
    /// The journal the events come from.
    pub journal: JournalId,
    /// The order after which they begin.
    pub after: u64,
}

/// Why a journal could not be written out.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal does not answer, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file cannot be written.
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
    /// The head has no JSON form: a defect of its type.
    #[error("the head cannot be written: {0}")]
    Head(#[from] serde_json::Error),
}

/// Writes the events of `journal` behind order `after` to `out`, telling `progress` now and then how many. Returns how many
/// there were. The same call with the last order written continues where one was broken off, in a file of its own.
///
/// # Errors
/// [`ExportError`]; what was written by then is whole lines but the last.
pub async fn export(
    journal: &dyn Journal,
    after: u64,
    out: &mut (impl AsyncWrite + Unpin + Send),
    mut progress: impl FnMut(u64),
) -> Result<u64, ExportError> {
    let head = Head { format: FORMAT.to_owned(), version: VERSION, journal: journal.id(), after };
    out.write_all(format!("{}\n", serde_json::to_string(&head)?).as_bytes()).await?;
    let (mut at, mut written) = (after, 0);
    loop {
        let page = journal.read_all(at, PAGE).await?;
        if page.is_empty() {
            break;
        }
        written += page.len() as u64;
        for event in page {
            // The stored text as it is, so that its hash still holds.
            let order = event.position.order;
            let line = format!("{{\"order\":{order},\"after\":{at},\"event\":{}}}\n", event.body);
            out.write_all(line.as_bytes()).await?;
            at = order;
        }
        progress(written);
    }
    out.flush().await?;
    Ok(written)
}
