//! What a history may be asked for.

use dcm_domain::value::Timestamp;
use dcm_projections::HistoryFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::transport::ApiError;

/// Events of a page, if the client does not say.
const DEFAULT_LIMIT: u32 = 100;
/// Most events of a page (design §9).
const MOST: u32 = 1000;
/// What stands before the revision in a marker.
const MARKER: &str = "after-";

/// What a history may be asked for. Everything that is given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Only events of this name.
    #[param(example = "SubcloudUnmanaged")]
    r#type: Option<String>,
    /// Only what this user id caused.
    actor: Option<String>,
    /// Nothing recorded before this RFC 3339 time.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Nothing recorded after this RFC 3339 time.
    #[param(format = DateTime)]
    until: Option<String>,
    /// How many events at most, up to 1000; 100 if not given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// `next` of the page before.
    #[param(pattern = "^after-[0-9]+$")]
    marker: Option<String>,
}

impl HistoryQuery {
    /// The filter it means.
    ///
    /// # Errors
    /// 400 naming the parameter that is at fault.
    pub(super) fn filter(self) -> Result<HistoryFilter, ApiError> {
        Ok(HistoryFilter {
            event_type: self.r#type,
            actor: self.actor,
            since: time("since", self.since)?,
            until: time("until", self.until)?,
            after_revision: self.marker.map(|text| revision(&text)).transpose()?,
            limit: limit(self.limit)?,
        })
    }
}

/// The marker of the page that begins after the event with `revision`. Clients take it as it is.
pub(super) fn marker(revision: u64) -> String {
    format!("{MARKER}{revision}")
}

fn revision(marker: &str) -> Result<u64, ApiError> {
    let revision = marker.strip_prefix(MARKER).and_then(|revision| revision.parse().ok());
    revision.ok_or_else(|| ApiError::bad_request("marker: not the marker of a page"))
}

fn limit(text: Option<String>) -> Result<u32, ApiError> {
    let Some(text) = text else { return Ok(DEFAULT_LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| ApiError::bad_request(format!("limit: must be a number from 1 to {MOST}")))
}

fn time(field: &str, text: Option<String>) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| {
        Timestamp::parse(&text)
            .ok_or_else(|| ApiError::bad_request(format!("{field}: must be an RFC 3339 time")))
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_parameter_at_fault_is_named() {
        let bad = |text: &str| Some(text.to_owned());
        for (query, field) in [
            (HistoryQuery { limit: bad("0"), ..HistoryQuery::default() }, "limit"),
            (HistoryQuery { limit: bad("1001"), ..HistoryQuery::default() }, "limit"),
            (HistoryQuery { limit: bad(""), ..HistoryQuery::default() }, "limit"),
            (HistoryQuery { since: bad("yesterday"), ..HistoryQuery::default() }, "since"),
            (HistoryQuery { until: bad("2026-01-01"), ..HistoryQuery::default() }, "until"),
            (HistoryQuery { marker: bad("7"), ..HistoryQuery::default() }, "marker"),
        ] {
            let error = query.filter().unwrap_err();
            assert_eq!(error.status(), 400);
            assert!(error.detail().unwrap().starts_with(&format!("{field}: ")), "{error}");
        }
    }

    #[test]
    fn a_marker_is_read_back() {
        let query = HistoryQuery { marker: Some(marker(7)), ..HistoryQuery::default() };
        let filter = query.filter().unwrap();
        assert_eq!((filter.after_revision, filter.limit), (Some(7), DEFAULT_LIMIT));
    }
}
