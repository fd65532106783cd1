//! What a process tells about itself beside its log.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Traces, and figures of processes that serve no API.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// The collector that traces are sent to, by OTLP over gRPC: `http://host:4317` or `https://…`; none without it. What a
    /// collector wants to see beside them goes into the environment, as `OTEL_EXPORTER_OTLP_HEADERS`.
    pub otlp_endpoint: Option<String>,
    /// Share of the traces begun here that are sent, from 0 to 1; of a trace that a caller began, the caller decides.
    /// Without the key `OTEL_TRACES_SAMPLER` decides, else all are sent.
    pub sampling_ratio: Option<f64>,
    /// What the service is called in traces. Without the key `OTEL_SERVICE_NAME`, else `dcm`.
    pub service_name: Option<String>,
    /// Where a process without the role `api` answers `/healthz`, `/readyz` and `/metrics`, over plain HTTP; nowhere
    /// without it.
    pub listen: Option<SocketAddr>,
}

impl Telemetry {
    /// What is wrong with it, by key.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.otlp_endpoint.as_deref().is_some_and(|url| !is_endpoint(url)) {
            let expected = "expected `http://host:port` or `https://host:port`, without user and password";
            problems.push(("telemetry.otlp_endpoint", expected.to_owned()));
        }
        if self.sampling_ratio.is_some_and(|ratio| !(0.0..=1.0).contains(&ratio)) {
            problems.push(("telemetry.sampling_ratio", "expected a number from 0 to 1".to_owned()));
        }
        problems
    }
}

fn is_endpoint(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.contains('@') && rest.bytes().all(|b| b.is_ascii_graphic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_and_shares_are_checked() {
        let with = |url: &str| Telemetry { otlp_endpoint: Some(url.to_owned()), ..Telemetry::default() };
        for good in ["http://127.0.0.1:4317", "https://collector"] {
            assert!(with(good).problems().is_empty(), "{good}");
        }
        for bad in ["", "collector:4317", "http://", "http://user:pw@collector", "http://a b"] {
            assert_eq!(with(bad).problems().len(), 1, "{bad}");
        }
        let share = |ratio| Telemetry { sampling_ratio: Some(ratio), ..Telemetry::default() };
        assert!(share(0.25).problems().is_empty());
        assert!(!share(1.5).problems().is_empty() && !share(f64::NAN).problems().is_empty());
    }
}
