//! Which group a path means: digits are an id, anything else a name (fleet.md §1).

use dcm_domain::group::name_key;
use dcm_journal::collection::Lookup;
use dcm_projections::GroupRow;
use uuid::Uuid;

use crate::app::App;
use crate::subclouds::group::{GroupReference, find};
use crate::subclouds::reference::{Place, is_number, texts};
use crate::transport::ApiError;

/// The group's row, for reads.
///
/// # Errors
/// 404 `Subcloud Group not found`; 503 if journal or read models are not available.
pub async fn row(app: &App, text: &str, place: Place) -> Result<GroupRow, ApiError> {
    for text in texts(text, place) {
        let reference = match is_number(text) {
            true => text.parse().ok().map(GroupReference::Id),
            false => Some(GroupReference::Name(text)),
        };
        // A number too large to be an id is no name either.
        let Some(reference) = reference else { continue };
        if let Some(found) = find(app, reference).await? {
            return Ok(found);
        }
    }
    Err(not_found())
}

/// The group's uuid, for writes: the directory is brought up to date before the answer is 404.
///
/// # Errors
/// 404 `Subcloud Group not found`; 503 if the journal is not available.
pub async fn entity(app: &App, text: &str) -> Result<Uuid, ApiError> {
    let groups = &app.fleet().collections().groups;
    for text in texts(text, Place::Last) {
        let found = match is_number(text) {
            true => match text.parse() {
                Ok(id) => groups.resolve(Lookup::Id(id)).await?,
                Err(_) => None,
            },
            false => groups.resolve(Lookup::Key(&name_key(text))).await?,
        };
        if let Some(entity) = found {
            return Ok(entity);
        }
    }
    Err(not_found())
}

fn not_found() -> ApiError {
    dcm_domain::group::Rejection::NotFound.into()
}
