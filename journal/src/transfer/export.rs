//! A journal as lines of JSON: a head, then one event per line, byte for byte as it is stored.

use dcm_schemas::{JournalId, StreamId};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::pages::Pages;
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
    /// The event with that order; none at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Follows>,
}

/// The event that an export goes on from, as it is known in every journal that holds it: its order is each one's own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Follows {
    pub stream: StreamId,
    pub revision: u64,
    pub hash: String,
}

/// What was written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Events that were written.
    pub events: u64,
    /// Order of the last one, or that after which there was none: where the next export goes on.
    pub last: u64,
}

/// Why a journal could not be written out.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal does not answer, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is nothing to go on from.
    #[error("no event stands at {order}: an export goes on from an event, such as the last one exported")]
    NoEvent {
        /// The order to go on from.
        order: u64,
    },
    /// The file cannot be written.
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
    /// The head has no JSON form: a defect of its type.
    #[error("the head cannot be written: {0}")]
    Head(#[from] serde_json::Error),
}

/// Writes the events of `journal` behind order `after` to `out`, telling `progress` now and then how many. `after` is the
/// order of an event, or 0 for all. The same call with the last order written continues where one was broken off, in a file
/// of its own.
///
/// # Errors
/// [`ExportError`], also if the journal has lost its last events; what was written by then is whole lines but the last.
pub async fn export(
    journal: &dyn Journal,
    after: u64,
    out: &mut (impl AsyncWrite + Unpin + Send),
    mut progress: impl FnMut(u64),
) -> Result<Exported, ExportError> {
    let mut pages = Pages::after(journal, after).await?;
    let follows = if after == 0 { None } else { Some(event_at(journal, after).await?) };
    let (format, journal) = (FORMAT.to_owned(), journal.id());
    let head = Head { format, version: VERSION, journal, after, follows };
    out.write_all(format!("{}\n", serde_json::to_string(&head)?).as_bytes()).await?;
    let mut done = Exported { events: 0, last: after };
    while let Some(page) = pages.next().await? {
        done.events += page.len() as u64;
        for event in page {
            // The stored text as it is, so that its hash still holds.
            let (order, before) = (event.position.order, done.last);
            let line = format!("{{\"order\":{order},\"after\":{before},\"event\":{}}}\n", event.body);
            out.write_all(line.as_bytes()).await?;
            done.last = order;
        }
        progress(done.events);
    }
    out.flush().await?;
    pages.check_end()?;
    Ok(done)
}

async fn event_at(journal: &dyn Journal, order: u64) -> Result<Follows, ExportError> {
    let found = journal.read_back(order, 1).await?;
    let event = found.into_iter().find(|event| event.position.order == order);
    let envelope = event.ok_or(ExportError::NoEvent { order })?.envelope;
    Ok(Follows { stream: envelope.stream, revision: envelope.revision, hash: envelope.hash })
}
