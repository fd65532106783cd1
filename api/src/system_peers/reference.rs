//! Which system peer a path means: digits are an id, a UUID is that of the peer as it is stored, anything else a name
//! (fleet.md §1).

use dcm_domain::system_peer::{Rejection, name_key, uuid_key};
use dcm_domain::value::SystemUuid;
use dcm_journal::collection::Lookup;
use dcm_projections::SystemPeerRow;
use uuid::Uuid;

use crate::app::App;
use crate::subclouds::reference::{Place, is_number, texts};
use crate::transport::ApiError;

enum Key<'a> {
    Id(i64),
    Uuid(&'a str),
    Name(&'a str),
}

fn keys(text: &str, place: Place) -> impl Iterator<Item = Key<'_>> {
    texts(text, place).filter_map(|text| match () {
        // A number too large to be an id is no name either.
        () if is_number(text) => text.parse().ok().map(Key::Id),
        () if SystemUuid::parse(text).is_some() => Some(Key::Uuid(text)),
        () => Some(Key::Name(text)),
    })
}

/// The system peer's row, for reads. That there is none is only said after the read models have caught up.
///
/// # Errors
/// 404 `System Peer not found`; 503 if journal or read models are not available.
pub async fn row(app: &App, text: &str, place: Place) -> Result<SystemPeerRow, ApiError> {
    if let Some(found) = look(app, text, place).await? {
        return Ok(found);
    }
    let head = app.journal().head().await?;
    app.models().progress().wait(head, app.settings().wait).await;
    look(app, text, place).await?.ok_or_else(not_found)
}

async fn look(app: &App, text: &str, place: Place) -> Result<Option<SystemPeerRow>, ApiError> {
    let peers = app.models().system_peers();
    for key in keys(text, place) {
        let found = match key {
            Key::Id(id) => peers.by_id(id).await?,
            Key::Uuid(uuid) => peers.by_peer_uuid(uuid).await?,
            Key::Name(name) => peers.by_name(name).await?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The uuid of the system peer's stream, for writes: the directory is brought up to date before the answer is 404.
///
/// # Errors
/// 404 `System Peer not found`; 503 if the journal is not available.
pub async fn entity(app: &App, text: &str) -> Result<Uuid, ApiError> {
    let peers = &app.fleet().collections().system_peers;
    for key in keys(text, Place::Last) {
        let found = match key {
            Key::Id(id) => peers.resolve(Lookup::Id(id)).await?,
            Key::Uuid(uuid) => peers.resolve(Lookup::Key(&uuid_key(uuid))).await?,
            Key::Name(name) => peers.resolve(Lookup::Key(&name_key(name))).await?,
        };
        if let Some(entity) = found {
            return Ok(entity);
        }
    }
    Err(not_found())
}

fn not_found() -> ApiError {
    Rejection::NotFound.into()
}
