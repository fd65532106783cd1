//! What operators look at: health, readiness, metrics, read models.

pub mod figures;
mod health;
mod projections;
mod readiness;
mod rebuild;
mod verify;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub use readiness::Readiness;

/// Answered to anyone, also under load.
pub(crate) fn open_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(health::asyncapi))
}

/// Answered to identified callers.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(projections::list))
        .routes(routes!(rebuild::rebuild))
        .routes(routes!(rebuild::cancel))
        .routes(routes!(projections::roll_back))
        .routes(routes!(verify::verify))
}
