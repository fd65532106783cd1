//! A journal from lines of JSON, as [`export`](super::export) writes them.

use dcm_schemas::{Envelope, JournalId, StreamId};
use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use super::copy::{Copied, CopyError, Filler};
use super::export::{FORMAT, Follows, Head, VERSION};
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
    /// The export begins in the middle, and it cannot be told whether the journal is there.
    #[error("the export begins after event {after} and does not say which one that is: write it out again")]
    Partial {
        /// The order it begins after.
        after: u64,
    },
    /// The export begins in the middle, and the journal is not there.
    #[error(
        "the export goes on from event {after} of journal {source_id}, revision {revision} of {stream}, which \
         this journal does not hold: bring in first the export that ends with it"
    )]
    NotThere {
        /// The order it begins after.
        after: u64,
        /// The journal that has this order.
        source_id: JournalId,
        /// The event's stream.
        stream: StreamId,
        /// Its revision.
        revision: u64,
    },
    /// The journal does not take the events.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// Fills `to` with the events in `lines`; returns the journal they come from, and what was done. Before them, `to` holds
/// what they go on from: nothing if they are a journal from its beginning, else all up to the event that their head names.
/// Behind that, it holds nothing or what the same import, broken off, has left.
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
    let mut filler = Filler::new(to, beginning(to, &head).await?).await?;
    let mut last = head.after;
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

/// The order in `to` behind which the lines belong: that of the event they go on from. It is found by its stream and known
/// by its hash; that nothing else stands behind it is seen when it is filled.
async fn beginning(to: &dyn Journal, head: &Head) -> Result<u64, ImportError> {
    let after = head.after;
    if after == 0 {
        return Ok(0);
    }
    let Some(Follows { stream, revision, hash }) = &head.follows else {
        return Err(ImportError::Partial { after });
    };
    let there = to.read_stream(stream, *revision, 1).await.map_err(CopyError::from)?;
    match there.first() {
        Some(event) if event.envelope.hash == *hash => Ok(event.position.order),
        _ => Err(ImportError::NotThere {
            after,
            source_id: head.journal,
            stream: stream.clone(),
            revision: *revision,
        }),
    }
}
