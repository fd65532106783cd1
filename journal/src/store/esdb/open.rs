//! From a URL to a journal on an event store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use dcm_schemas::JournalId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::answer::Trouble;
use super::calls::{Calls, From, Message, PATIENCE, Pauses, message};
use super::journal::EsdbJournal;
use super::link::Link;
use super::scope::Scope;
use super::tail::Tail;
use super::url::Url;
use crate::store::{Journal, OpenError};

/// Format of what is written, fixed when a journal is created.
const FORMAT: i64 = 1;
/// Type of the event that names a journal.
const CREATED: &str = "JournalCreated";
/// Begins the names of all streams that are only for trying things out.
const SCRATCH: &str = "dcmscratch-";
/// Streams of a scratch journal that are found at once when it is removed.
const PAGE: usize = 1000;

/// What the header stream's one event holds.
#[derive(Serialize, Deserialize)]
struct Header {
    journal: Uuid,
    format: i64,
}

/// Opens the journal at `url`, and names it if nobody did.
pub(in crate::store) async fn open(url: &str) -> Result<Arc<dyn Journal>, OpenError> {
    let url = Url::parse(url)?;
    assemble(&url, Scope::product()).await
}

/// A name for a new scratch journal at `url`, and the position behind which it begins.
pub(in crate::store) async fn create_scratch(url: &str) -> Result<(String, u64), OpenError> {
    let url = Url::parse(url)?;
    let last = calls(&url)?.last_of_all().await.map_err(|trouble| unusable(&url, &trouble))?;
    let name = format!("{SCRATCH}{}-", Uuid::new_v4().simple());
    Ok((name, last.map_or(0, |event| event.commit_position)))
}

/// Opens a scratch journal that [`create_scratch`] named.
pub(in crate::store) async fn open_scratch(
    url: &str,
    name: &str,
    origin: u64,
) -> Result<Arc<dyn Journal>, OpenError> {
    let url = Url::parse(url)?;
    assemble(&url, Scope::scratch(name.to_owned(), origin)).await
}

/// Deletes every stream of a scratch journal; the store reclaims the space when it scavenges.
pub(in crate::store) async fn remove_scratch(url: &str, name: &str, origin: u64) -> Result<(), OpenError> {
    let url = Url::parse(url)?;
    let unusable = |trouble: Trouble| unusable(&url, &trouble);
    let (calls, scope) = (calls(&url)?, Scope::scratch(name.to_owned(), origin));
    let mut streams = BTreeSet::from([scope.header().into_bytes()]);
    let mut from = origin;
    loop {
        let page = calls.read_all(scope.filter(), From::Position(from), PAGE).await;
        let page = page.map_err(unusable)?;
        let found = page.iter().filter_map(|event| event.stream_identifier.as_ref());
        streams.extend(found.map(|stream| stream.stream_name.to_vec()));
        match page.last() {
            Some(last) if page.len() == PAGE => from = last.commit_position,
            _ => break,
        }
    }
    for stream in streams.into_iter().filter_map(|name| String::from_utf8(name).ok()) {
        calls.delete(&stream).await.map_err(unusable)?;
    }
    Ok(())
}

async fn assemble(url: &Url, scope: Scope) -> Result<Arc<dyn Journal>, OpenError> {
    let calls = calls(url)?;
    let unusable = |trouble: Trouble| unusable(url, &trouble);
    let named = tokio::time::timeout(PATIENCE, name(&calls, &scope)).await;
    let header = named.unwrap_or_else(|_| Err(Trouble::Passing("no answer in time".to_owned())));
    let header = header.map_err(unusable)?;
    if header.format != FORMAT {
        return Err(OpenError::Format { place: url.shown(), found: header.format });
    }
    let tail = Tail::default();
    let head = tail.head(&calls, &scope).await.map_err(unusable)?;
    Ok(Arc::new(EsdbJournal::new(JournalId(header.journal), calls, scope, tail, head)))
}

fn calls(url: &Url) -> Result<Calls, OpenError> {
    let link = Link::new(url).map_err(|reason| OpenError::Unusable {
        place: url.shown(),
        reason,
        advice: "correct the journal's URL".to_owned(),
    })?;
    Ok(Calls::new(link))
}

/// What the journal is called; names it unless it has a name already.
async fn name(calls: &Calls, scope: &Scope) -> Result<Header, Trouble> {
    let stream = scope.header();
    let deadline = Instant::now() + PATIENCE;
    let mut pauses = Pauses::until(deadline);
    loop {
        if let Some(event) = calls.read_stream(&stream, 0, 1).await?.first() {
            let header = serde_json::from_slice(&event.data);
            return header.map_err(|error| Trouble::Refused(format!("{stream} is not a journal's: {error}")));
        }
        let message = created();
        match calls.append_once(deadline, &stream, None, &[message]).await {
            // Read again: of those who create it at once, one has won.
            Ok(_) | Err(Trouble::WrongRevision) => {}
            Err(trouble @ (Trouble::Passing(_) | Trouble::Broken(_) | Trouble::NotLeader(_))) => {
                if !pauses.pause().await {
                    return Err(trouble);
                }
            }
            Err(trouble) => return Err(trouble),
        }
    }
}

fn created() -> Message {
    let header = Header { journal: Uuid::now_v7(), format: FORMAT };
    let body = serde_json::to_string(&header).unwrap_or_default();
    message(&Uuid::new_v4().to_string(), CREATED, &body)
}

fn unusable(url: &Url, trouble: &Trouble) -> OpenError {
    let advice = match trouble {
        Trouble::Refused(_) => {
            "the user needs the right to read $all and to write streams (such as membership in $admins)"
        }
        Trouble::Deleted => "the journal's streams must not be deleted; restore them from a backup",
        _ => "check that a node leads, can be reached from here, and is trusted (tls, tlsCaFile)",
    };
    OpenError::Unusable { place: url.shown(), reason: trouble.text(), advice: advice.to_owned() }
}
