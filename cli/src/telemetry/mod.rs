//! What a process tells about itself: log lines, traces, figures.

mod listen;
mod log;
mod sample;
mod traces;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::commands::Failure;
use crate::config::Config;

pub use listen::serve;
pub use sample::{Parts, sample};
use traces::Traces;

/// What was started. Ends with [`Telemetry::end`], so that nothing that was measured is lost.
pub struct Telemetry {
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    traces: Option<Traces>,
}

impl Telemetry {
    /// Starts logging, the export of traces if a collector is configured, and measuring. Once per process, inside its
    /// runtime.
    ///
    /// # Errors
    /// [`Failure::Start`] if a part of the configuration cannot be used. A collector that does not answer is none.
    pub fn start(config: &Config) -> Result<Self, Failure> {
        let traces = Traces::open(&config.telemetry, &config.roles)?;
        log::start(config, traces.as_ref())?;
        let metrics = dcm_api::ops::figures::recorder()
            .and_then(metrics_exporter_prometheus::PrometheusBuilder::install_recorder)
            .map_err(|error| Failure::start("metrics", error))?;
        dcm_api::ops::figures::describe();
        sample::begin();
        Ok(Self { metrics, traces })
    }

    /// Sends the spans that have not been sent yet, within a bound.
    pub async fn end(self) {
        if let Some(traces) = self.traces {
            traces.end().await;
        }
    }
}
