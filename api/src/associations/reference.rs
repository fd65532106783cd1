//! Which association a path means: always by id (fleet.md §1).

use std::sync::Arc;

use dcm_domain::association::{PeerGroupAssociation, Rejection};
use dcm_journal::collection::Lookup;
use dcm_projections::AssociationRow;
use uuid::Uuid;

use crate::app::App;
use crate::subclouds::reference::{Place, is_number, texts};
use crate::transport::ApiError;

/// The association's row, for reads. That there is none is only said after the read models have caught up.
///
/// # Errors
/// 400 if the text is no id; 404; 503 if journal or read models are not available.
pub async fn row(app: &App, text: &str) -> Result<AssociationRow, ApiError> {
    let id = id(text, Place::Last)?;
    let associations = app.models().associations();
    if let Some(found) = associations.by_id(id).await? {
        return Ok(found);
    }
    let head = app.journal().head().await?;
    app.models().progress().wait(head, app.settings().wait).await;
    associations.by_id(id).await?.ok_or_else(not_found)
}

/// The association's uuid and state, for writes: the directory is brought up to date before the answer is 404.
///
/// # Errors
/// 400 if the text is no id; 404; 503 if the journal is not available.
pub async fn living(
    app: &App,
    text: &str,
    place: Place,
) -> Result<(Uuid, Arc<PeerGroupAssociation>), ApiError> {
    let associations = &app.fleet().collections().associations;
    let entity = associations.resolve(Lookup::Id(id(text, place)?)).await?.ok_or_else(not_found)?;
    let state = associations.load(entity).await?.state.filter(|association| !association.deleted);
    Ok((entity, state.ok_or_else(not_found)?))
}

fn id(text: &str, place: Place) -> Result<i64, ApiError> {
    let digits = texts(text, place).find(|text| is_number(text));
    let digits =
        digits.ok_or_else(|| ApiError::bad_request("Peer Group Association ID must be an integer"))?;
    // A number beyond any id is that of none.
    digits.parse().map_err(|_| not_found())
}

fn not_found() -> ApiError {
    Rejection::NotFound.into()
}
