//! Methods that a collection only has for one of its entries (decisions.md, "Reference missing").

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::openapi::path::{OperationBuilder, PathItem, Paths, PathsBuilder};
use utoipa::openapi::{Content, HttpMethod, Ref, Response};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::app::App;

/// The routes of `methods` (PATCH, DELETE, POST; others are left out) on the collection at `path`, with their
/// description: each is answered by `refuse`, a 400 that says what is missing.
pub(crate) fn refused<H, T>(
    path: &str,
    tag: &str,
    methods: &[HttpMethod],
    refuse: H,
) -> UtoipaMethodRouter<App>
where
    H: Handler<T, App>,
    T: 'static,
{
    let (mut routes, mut paths) = (MethodRouter::new(), Paths::builder());
    for method in methods {
        let Some((filter, verb)) = known(method) else { continue };
        routes = routes.merge(on(filter, refuse.clone()));
        paths = described(paths, path, tag, method.clone(), verb);
    }
    (Vec::new(), paths.build(), routes)
}

fn known(method: &HttpMethod) -> Option<(MethodFilter, &'static str)> {
    match method {
        HttpMethod::Patch => Some((MethodFilter::PATCH, "patch")),
        HttpMethod::Delete => Some((MethodFilter::DELETE, "delete")),
        HttpMethod::Post => Some((MethodFilter::POST, "post")),
        _ => None,
    }
}

fn described(paths: PathsBuilder, path: &str, tag: &str, method: HttpMethod, verb: &str) -> PathsBuilder {
    let resource = path.rsplit('/').next().unwrap_or_default().replace('-', "_");
    let missing = Response::builder()
        .description("The reference is missing")
        .content("application/json", Content::new(Some(Ref::from_schema_name("ErrorBody"))));
    let operation = OperationBuilder::new()
        .tag(tag)
        .operation_id(Some(format!("{verb}_{resource}_without_reference")))
        .summary(Some("Refused: which one is meant is not said."))
        .response("400", missing);
    paths.path(path, PathItem::new(method, operation))
}
