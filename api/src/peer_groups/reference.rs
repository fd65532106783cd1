//! Which peer group a path or a field means: digits are an id, anything else a name (fleet.md §1).

use std::sync::Arc;

use dcm_domain::peer_group::{Rejection, SubcloudPeerGroup, name_key};
use dcm_journal::collection::Lookup;
use dcm_projections::PeerGroupRow;
use uuid::Uuid;

use crate::app::App;
use crate::subclouds::reference::{Place, is_number, texts};
use crate::transport::ApiError;

/// The peer group's row, for reads. That there is none is only said after the read models have caught up.
///
/// # Errors
/// 404 `Subcloud Peer Group not found`; 503 if journal or read models are not available.
pub async fn row(app: &App, text: &str, place: Place) -> Result<PeerGroupRow, ApiError> {
    if let Some(found) = look(app, text, place).await? {
        return Ok(found);
    }
    let head = app.journal().head().await?;
    app.models().progress().wait(head, app.settings().wait).await;
    look(app, text, place).await?.ok_or_else(not_found)
}

async fn look(app: &App, text: &str, place: Place) -> Result<Option<PeerGroupRow>, ApiError> {
    let groups = app.models().peer_groups();
    for text in texts(text, place) {
        let found = match is_number(text) {
            // A number too large to be an id is no name either.
            true => match text.parse() {
                Ok(id) => groups.by_id(id).await?,
                Err(_) => None,
            },
            false => groups.by_name(text).await?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The peer group's uuid and state, for writes: the directory is brought up to date before the answer is 404.
///
/// # Errors
/// 404 `Subcloud Peer Group not found`; 503 if the journal is not available.
pub async fn living(app: &App, text: &str, place: Place) -> Result<(Uuid, Arc<SubcloudPeerGroup>), ApiError> {
    let groups = &app.fleet().collections().peer_groups;
    for text in texts(text, place) {
        let found = match is_number(text) {
            true => match text.parse() {
                Ok(id) => groups.resolve(Lookup::Id(id)).await?,
                Err(_) => None,
            },
            false => groups.resolve(Lookup::Key(&name_key(text))).await?,
        };
        if let Some(entity) = found
            && let Some(state) = groups.load(entity).await?.state.filter(|group| !group.deleted)
        {
            return Ok((entity, state));
        }
    }
    Err(not_found())
}

fn not_found() -> ApiError {
    Rejection::NotFound.into()
}
