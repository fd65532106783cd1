//! A journal from lines of JSON, as [`export`](super::export) writes them.

use dcm_schemas::{Envelope, JournalId};
use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::copy::{Copied, CopyError, Filler};
use super::export::{FORMAT, Head, VERSION};
use crate::store::Journal;

/// Lines between two reports of progress.
const REPORTED: u64 = 1000;

/// A line behind the head.
#[derive(Debug, Deserialize)]
struct Line {
    /// Where the event stood among all events.
    order: u64,
    /// Where the one before it stood; orders that are dense need not say so.
    after: Option<u64>,
    event: Envelope,
}

/// Why lines did not come in.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The lines cannot be read.
    #[error("cannot read: {0}")]
    Read(#[from] std::io::Error),
    /// The first line is not that of an export, or of a newer one.
    #[error("line 1 is not the head of an export of version {VERSION}")]
    NotAnExport,
    /// A line is no event.
    #[error("line {line}: {cause}")]
    Line {
        /// Its number.
        line: u64,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// The export begins in the middle.
    #[error("the export begins after event {after}: a journal is filled from its beginning")]
    Partial {
        /// The order it begins after.
        after: u64,
    },
    /// The journal does not take the events.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// Fills `to`, which is empty or was left half-way by the same import, with the events in `lines`; returns the journal they
/// come from, and what was done.
///
/// # Errors
/// [`ImportError`]; what is there by then is a whole beginning, and the same import made again goes on from it.
pub async fn import(
    to: &dyn Journal,
    lines: &mut (impl AsyncBufRead + Unpin + Send),
    mut progress: impl FnMut(u64),
) -> Result<(JournalId, Copied), ImportError> {
    let mut text = String::new();
    lines.read_line(&mut text).await?;
    let head: Head = serde_json::from_str(&text).map_err(|_| ImportError::NotAnExport)?;
    if head.format != FORMAT || head.version != VERSION {
        return Err(ImportError::NotAnExport);
    }
    if head.after != 0 {
        return Err(ImportError::Partial { after: head.after });
    }
    let mut filler = Filler::new(to).await?;
    let mut last = 0;
    for number in 2.. {
        text.clear();
        if lines.read_line(&mut text).await? == 0 {
            break;
        }
        let at = |cause| ImportError::Line { line: number, cause };
        let Line { order, after, event } = serde_json::from_str(&text).map_err(at)?;
        if after.or(order.checked_sub(1)) != Some(last) {
            return Err(CopyError::Gap { after: last, found: order }.into());
        }
        last = order;
        // A text that was touched does not have its hash any more, and is refused by the journal.
        let body = event.body();
        filler.take(order, event, &body).await?;
        if number % REPORTED == 0 {
            progress(number - 1);
        }
    }
    Ok((head.journal, filler.finish().await?))
}
