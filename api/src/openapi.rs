//! The description of the REST API, made from the handlers themselves.

use serde::Serialize;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Response};
use utoipa::{OpenApi, ToSchema};

use crate::transport::routing;

/// What is said about the API as a whole; operations and shapes come from the handlers.
#[derive(OpenApi)]
#[openapi(
    paths(routing::versions),
    info(
        title = "DC Manager",
        description = "Manages the subclouds of a distributed cloud. Every change is an event in a journal; reads are \
            answered from folds of it.\n\nErrors have the form that `Accept` asks for: JSON as described here for \
            `application/json`, a page for `*/*`, text without the header."
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

/// Adds to `document` what any operation on the API's resources may answer, whatever its handler does: the refusals of
/// the transport, and that it cannot be served now.
pub(crate) fn add_common_answers(document: &mut utoipa::openapi::OpenApi) {
    let resources = document.paths.paths.iter_mut().filter(|(path, _)| path.starts_with("/v1.0/"));
    for (_, item) in resources {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            add(operation, "4XX", "Not as asked; 406 if JSON is not taken, 413 if the body is too large");
            add(operation, "503", "It cannot be answered now");
        }
    }
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(add_error_forms);
    }
}

/// An error is shown in the form that `Accept` asks for (access.md §9): where JSON is described, so are the others.
fn add_error_forms(operation: &mut Operation) {
    let error = Ref::from_schema_name("ErrorBody");
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        let json = match response.content.get("application/json") {
            Some(RefOr::T(content)) => content.schema.as_ref(),
            _ => None,
        };
        if json == Some(&RefOr::Ref(error.clone())) {
            for form in ["text/html", "text/plain"] {
                let text = ObjectBuilder::new().schema_type(Type::String).build();
                response.content.insert(form.to_owned(), Content::new(Some(text)).into());
            }
        }
    }
}

fn add(operation: &mut Operation, status: &str, description: &str) {
    let error = Content::new(Some(Ref::from_schema_name("ErrorBody")));
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| {
        Response::builder().description(description).content("application/json", error).build().into()
    });
}
