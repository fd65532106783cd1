//! Who is asking. One seam: every mode ends in a [`Caller`] among the request's extensions.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use dcm_domain::value::Actor;
use http::HeaderMap;
use http::request::Parts;

use super::error::ApiError;

/// The confirmed identity of a request, as events record it. An extractor; 401 where no authentication layer ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User, project and roles, as events record them.
    pub actor: Actor,
    /// Names, which only policy and the audit log use: events never hold them.
    pub names: CallerNames,
}

/// Display names of a caller; absent where the token has none (access.md §3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerNames {
    /// Name of the user.
    pub user: Option<String>,
    /// Name of the user's domain.
    pub user_domain: Option<String>,
    /// Name of the project: what policy compares.
    pub project: Option<String>,
}

/// How callers are identified; chosen by configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// Everyone is the administrator `anonymous` of project `admin` (design §10, `--auth none`).
    #[default]
    None,
}

impl Authentication {
    /// The caller behind a request's headers.
    ///
    /// # Errors
    /// 401 when the identity is not confirmed, 503 when it cannot be looked up. It waits for nothing today; modes that
    /// ask an identity service do.
    pub async fn identify(&self, _headers: &HeaderMap) -> Result<Caller, ApiError> {
        match self {
            Self::None => Ok(anonymous()),
        }
    }
}

fn anonymous() -> Caller {
    let actor = Actor {
        user_id: "anonymous".to_owned(),
        project_id: Some("admin".to_owned()),
        roles: ["admin", "member", "reader"].map(str::to_owned).to_vec(),
    };
    let names = CallerNames {
        user: Some("anonymous".to_owned()),
        user_domain: None,
        project: Some("admin".to_owned()),
    };
    Caller { actor, names }
}

/// Layer: identifies the caller of a known path and hands the [`Caller`] on.
pub async fn authenticate(
    State(authentication): State<Authentication>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = authentication.identify(request.headers()).await?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(|| ApiError::unauthorized("Authentication required"))
    }
}
