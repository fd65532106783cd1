//! From a request to what its command records about it.

use axum::extract::FromRequestParts;
use dcm_journal::repository::Meta;
use http::request::Parts;

use crate::transport::{ApiError, Caller, RequestId, Traceparent};

/// Who asks, in which request: what the events of the request's command record. An extractor; 401 without a caller.
#[derive(Clone, Debug)]
pub struct Asker(pub Meta);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller { actor, .. } = Caller::from_request_parts(parts, state).await?;
        Ok(Self(Meta {
            request_id: parts.extensions.get::<RequestId>().map(|id| id.as_str().to_owned()),
            traceparent: parts.extensions.get::<Traceparent>().map(|parent| parent.as_str().to_owned()),
            ..Meta::new(actor)
        }))
    }
}
