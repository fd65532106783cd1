//! `/v1.0/sw-update-strategy`: update strategies (fleet.md §8).

mod action;
mod body;
mod cert_file;
mod create;
mod delete;
mod refusal;
mod render;
mod show;
mod steps;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The routes of update strategies. Any other second segment is an unknown path.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show::show))
        .routes(routes!(create::create))
        .routes(routes!(delete::delete))
        .routes(routes!(action::act))
        .routes(routes!(steps::list))
        .routes(routes!(steps::show))
}
