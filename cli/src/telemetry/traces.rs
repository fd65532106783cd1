//! Traces leave by OTLP over gRPC. Nobody waits for the collector: spans queue up within a bound, and what does not fit is
//! dropped.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dcm_journal::outage::Outage;
use dcm_journal::trace;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::commands::Failure;
use crate::config::{Role, Telemetry};

/// How long the end of the process waits for the last spans to leave.
const LAST: Duration = Duration::from_secs(3);

/// The export of traces.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to export to the configured collector; `None` without one. It is not connected to yet.
    ///
    /// # Errors
    /// [`Failure::Start`] if the endpoint cannot be used.
    pub fn open(config: &Telemetry, roles: &[Role]) -> Result<Option<Self>, Failure> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint);
        let exporter = match endpoint.starts_with("https:") {
            true => exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots()),
            false => exporter,
        };
        let exporter = exporter.build().map_err(|error| Failure::start("telemetry.otlp_endpoint", error))?;
        let mut provider = SdkTracerProvider::builder()
            .with_resource(resource(config, roles))
            .with_batch_exporter(Watched::new(exporter));
        if let Some(ratio) = config.sampling_ratio {
            let ours = Sampler::TraceIdRatioBased(ratio);
            provider = provider.with_sampler(Sampler::ParentBased(Box::new(ours)));
        }
        Ok(Some(Self(provider.build())))
    }

    /// What takes the spans up as they end.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let exported = filter_fn(|metadata| metadata.target() == trace::TARGET);
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("dcm"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(exported.with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what is left, and waits for it a moment.
    pub async fn end(self) {
        // It blocks its thread until the collector has answered.
        let ending = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST));
        match tokio::time::timeout(LAST, ending).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::debug!(%error, "the last spans were not sent"),
            Ok(Err(_)) | Err(_) => tracing::debug!("the last spans were not sent in time"),
        }
    }
}

/// Who the spans are from.
fn resource(config: &Telemetry, roles: &[Role]) -> Resource {
    let name = config.service_name.clone().or_else(|| std::env::var("OTEL_SERVICE_NAME").ok());
    let roles: Vec<String> = roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
    Resource::builder()
        .with_service_name(name.unwrap_or_else(|| "dcm".to_owned()))
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("process.pid", i64::from(std::process::id())),
            KeyValue::new("dcm.roles", roles.join(",")),
        ])
        .build()
}

/// An exporter whose failures are told when they begin and when they are over.
#[derive(Debug)]
struct Watched {
    exporter: opentelemetry_otlp::SpanExporter,
    outage: Mutex<Outage>,
}

impl Watched {
    fn new(exporter: opentelemetry_otlp::SpanExporter) -> Self {
        Self { exporter, outage: Mutex::new(Outage::of("trace collector")) }
    }
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let exported = self.exporter.export(batch).await;
        let outcome = if exported.is_ok() { "exported" } else { "failed" };
        metrics::counter!("dcm_trace_spans_total", "outcome" => outcome).increment(spans);
        self.outage.lock().unwrap_or_else(PoisonError::into_inner).note(&exported);
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
