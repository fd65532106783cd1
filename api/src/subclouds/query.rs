//! What reads of subclouds may be asked for.

use dcm_projections::Page;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::transport::ApiError;

/// What a list may be asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Shows this one subcloud instead of the list.
    pub subcloud_ref: Option<String>,
    /// At most so many entries, 1 to 1000; without it, all of them.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    pub limit: Option<String>,
    /// The entries behind the one with this id: what `DCM-Next-Marker` said.
    #[param(value_type = Option<i64>, minimum = 0)]
    pub marker: Option<String>,
}

/// Largest page of a list.
const MOST: usize = 1000;

impl ListQuery {
    /// The page asked for; `None` is the whole list.
    ///
    /// # Errors
    /// 400 naming the parameter.
    pub fn page(&self) -> Result<Option<Page>, ApiError> {
        let Some(limit) = &self.limit else {
            return match self.marker {
                Some(_) => Err(ApiError::bad_request("marker: only with limit")),
                None => Ok(None),
            };
        };
        let limit = limit.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        let limit = limit
            .ok_or_else(|| ApiError::bad_request(format!("limit: must be a number from 1 to {MOST}")))?;
        let after = self.marker.as_deref().map_or(Some(0), |marker| marker.parse().ok());
        let after = after.filter(|after| *after >= 0);
        let after = after.ok_or_else(|| ApiError::bad_request("marker: not the marker of a page"))?;
        Ok(Some(Page { after, limit }))
    }
}

/// What one subcloud may be asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowQuery {
    /// Its state at an RFC 3339 time, or after the event with this revision. Finds deleted subclouds too, by uuid or by
    /// their last name.
    pub as_of: Option<String>,
}
