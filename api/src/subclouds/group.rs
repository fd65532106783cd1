//! Groups that a request names.

use dcm_projections::GroupRow;

use crate::app::App;
use crate::transport::ApiError;

/// How a request names a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupReference<'a> {
    /// By id.
    Id(i64),
    /// By name.
    Name(&'a str),
}

/// The group that is meant, if there is one. That there is none is only said after the read models have caught up
/// with the journal (design, invariant 4).
///
/// # Errors
/// 503 if journal or read models are not available.
pub async fn find(app: &App, reference: GroupReference<'_>) -> Result<Option<GroupRow>, ApiError> {
    if let Some(found) = look(app, reference).await? {
        return Ok(Some(found));
    }
    let head = app.journal().head().await?;
    app.models().progress().wait(head, app.settings().wait).await;
    look(app, reference).await
}

async fn look(app: &App, reference: GroupReference<'_>) -> Result<Option<GroupRow>, ApiError> {
    let groups = app.models().groups();
    Ok(match reference {
        GroupReference::Id(id) => groups.by_id(id).await?,
        GroupReference::Name(name) => groups.by_name(name).await?,
    })
}
