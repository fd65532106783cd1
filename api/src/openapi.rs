//! The description of the REST API, made from the handlers themselves.

mod bare;
mod common;

use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

pub(crate) use bare::refused;
pub(crate) use common::complete;

use crate::transport::routing;

/// What is said about the API as a whole; operations and shapes come from the handlers.
#[derive(OpenApi)]
#[openapi(
    paths(routing::versions),
    info(
        title = "DC Manager",
        description = "Manages the subclouds of a distributed cloud. Every change is an event in a journal; reads are \
            answered from folds of it.\n\nErrors have the form that `Accept` asks for: JSON as described here for \
            `application/json`, a page for `*/*`, text without the header; `{\"message\", \"code\", \"title\"}`, all \
            text, for clients that like plain text as much as JSON and take no HTML.\n\nMembers and fields that are \
            not described here are ignored."
    ),
    tags(
        (name = "subclouds", description = "Subclouds, and the axes on which they change"),
        (name = "deployment", description = "Deployment in phases"),
        (name = "strategy", description = "Update strategies and their steps"),
        (name = "backup", description = "Backups of subclouds, and restores from them"),
        (name = "groups", description = "Groups of subclouds that are updated together"),
        (name = "peers", description = "Groups of subclouds that move between controllers, and those controllers"),
        (name = "alarms", description = "Alarm counts of subclouds, and news from the platform"),
        (name = "history", description = "What happened, when, and who did it"),
        (name = "operation", description = "Health and read models of this program")
    )
)]
pub(crate) struct Description;

/// An error, for clients that take JSON.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The HTTP status.
    #[schema(example = 404)]
    pub code: u16,
    /// Its name.
    #[schema(example = "Not Found")]
    pub title: String,
    /// What is wrong with this request.
    #[schema(required, example = "Subcloud not found")]
    pub description: Option<String>,
}
