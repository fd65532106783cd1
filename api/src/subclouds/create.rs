//! E5: add a subcloud (subclouds.md §6.3).

use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use dcm_domain::validate::base64_password;
use dcm_domain::value::{Region, Secret, canonical_ip};

use super::creation::{Creation, Start, new_region};
use super::forms::CreateForm;
use super::payload::Payload;
use super::render::{SubcloudBody, TimeForm};
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::platform::PlatformError;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, Form};
use crate::written;

/// Regions of the controller itself.
const RESERVED_REGIONS: [&str; 2] = ["RegionOne", "SystemController"];

/// Add a subcloud.
///
/// The answer comes at once; the deployment goes on in the background and shows in `deploy-status`.
#[utoipa::path(
    post, path = "/v1.0/subclouds", tag = "subclouds", operation_id = "create_subcloud",
    request_body(content = CreateForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The subcloud, not deployed yet", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong", body = ErrorBody),
        (status = 409, description = "The name or the region is taken", body = ErrorBody),
        (status = 422, description = "Not possible now", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn create(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudsCreate>,
    request: Request,
) -> Result<Response, ApiError> {
    let form = Form::from_request(request, &()).await?;
    let (creation, start) = checked(&app, &form).await?;
    written::to_the_end(async move {
        let done = creation.begin(&app, &meta, start).await?;
        written::subcloud(&app, &done, TimeForm::Blank, |_| {}).await
    })
    .await
}

/// Steps 2 to 21.
async fn checked(app: &App, form: &Form) -> Result<(Creation, Start), ApiError> {
    let payload = Payload::read(form)?;
    let options = Options::read(&payload, form)?;
    let start = match (options.secondary, options.migrate) {
        (true, _) => Start::Secondary,
        (false, true) => Start::TakeOver(password(&payload)?),
        (false, false) => Start::Deploy(password(&payload)?),
    };
    let region = match (payload.text("region_name"), &start) {
        (Some(given), _) => given_region(&given)?,
        (None, Start::TakeOver(password)) => live_region(app, &payload, password).await?,
        (None, _) => new_region(&payload)?,
    };
    Ok((Creation::check(app, payload, form, region).await?, start))
}

/// Step 11 of taking over: the region that the running subcloud says it is.
async fn live_region(app: &App, payload: &Payload, password: &Secret) -> Result<Region, ApiError> {
    let refused = |why: &str| ApiError::bad_request(format!("Unable to retrieve subcloud region: {why}"));
    let address = payload.non_empty("bootstrap-address");
    let address = address.ok_or_else(|| refused("bootstrap-address required"))?;
    let address = canonical_ip(&address).ok_or_else(|| refused("bootstrap-address invalid"))?;
    let region = app.platform().live_region(&address, password).await.map_err(|error| {
        tracing::warn!(%error, "a running subcloud does not tell its region");
        match error {
            PlatformError::NotConfigured(_) => refused(&error.to_string()),
            PlatformError::Failed(_) => refused("the subcloud does not tell it"),
        }
    })?;
    let taken = app.fleet().directory().await?.by_region(&region).is_some();
    match taken || RESERVED_REGIONS.contains(&region.as_ref()) {
        true => Err(refused(&format!("{region} is in use"))),
        false => Ok(region),
    }
}

/// A region that the request names: not one of the controller's own (subclouds.md §2.2).
fn given_region(text: &str) -> Result<Region, ApiError> {
    if RESERVED_REGIONS.contains(&text) {
        let reserved = RESERVED_REGIONS.join(" or ");
        return Err(ApiError::bad_request(format!("region_name cannot be {reserved}")));
    }
    Ok(Region::parse(text)?)
}

/// Step 10.
fn password(payload: &Payload) -> Result<Secret, ApiError> {
    let sent = payload.sysadmin_password.as_ref().map(Secret::expose);
    Ok(base64_password("sysadmin_password", sent)?)
}

/// `migrate` and `secondary`, and what cannot be combined.
struct Options {
    migrate: bool,
    secondary: bool,
}

impl Options {
    /// Steps 4 to 9.
    fn read(payload: &Payload, form: &Form) -> Result<Self, ApiError> {
        let has_deploy_config = form.part("deploy_config").is_some();
        let migrate = flag(payload, "migrate")?;
        if migrate.is_some() && has_deploy_config {
            return Err(ApiError::bad_request("migrate with deploy-config is not allowed"));
        }
        // `secondary=false` is as if absent (decisions.md).
        let secondary = flag(payload, "secondary")? == Some(true);
        if secondary && has_deploy_config {
            return Err(ApiError::bad_request("secondary with deploy-config is not allowed"));
        }
        if secondary && migrate.is_some() {
            return Err(ApiError::bad_request("secondary with migrate is not allowed"));
        }
        let migrate = migrate == Some(true);
        if migrate
            && payload.name_in_file.as_ref().is_some_and(|name| Some(name) != payload.text("name").as_ref())
        {
            return Err(ApiError::bad_request(
                "subcloud name does not match the name defined in bootstrap file",
            ));
        }
        Ok(Self { migrate, secondary })
    }
}

/// A field that is exactly `true` or `false`, if there is one.
fn flag(payload: &Payload, key: &str) -> Result<Option<bool>, ApiError> {
    if !payload.values.contains_key(key) {
        return Ok(None);
    }
    match payload.text(key).as_deref() {
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        _ => Err(ApiError::bad_request(format!(
            "The {key} option is invalid, valid options are true and false."
        ))),
    }
}
