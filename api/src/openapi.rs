//! The description of the REST API, made from the handlers themselves.

use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

/// What is said about the API as a whole; operations and shapes come from the handlers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "DC Manager",
        description = "Manages the subclouds of a distributed cloud. Every change is an event in a journal; reads are \
            answered from folds of it.\n\nErrors have the form that `Accept` asks for: JSON as described here for \
            `application/json`, a page for `*/*`, text without the header."
    ),
    tags(
        (name = "subclouds", description = "Subclouds, and the axes on which they change"),
        (name = "deployment", description = "Deployment in phases"),
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
