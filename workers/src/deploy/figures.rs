//! What a run leaves behind for operators: spans and figures.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use dcm_domain::subcloud::RunKind;
use dcm_journal::trace;
use tokio::time::Instant;
use tracing::{Instrument, Span, field};
use uuid::Uuid;

/// A run that this worker is at.
#[derive(Debug)]
pub(super) struct Figures {
    begun: Instant,
    /// Of the phase that ended last.
    outcome: Mutex<&'static str>,
    span: Span,
    logged: Span,
}

impl Figures {
    /// Begins the spans of a run, inside those of the hint that it was taken up for.
    pub(super) fn begin(run_id: Uuid) -> Self {
        let kind = RunKind::Deploy.as_str();
        let span = tracing::info_span!(
            target: trace::TARGET,
            parent: trace::around(),
            "run",
            otel.name = format_args!("{kind} run"),
            dcm.run_id = %run_id,
            dcm.kind = kind,
            dcm.outcome = field::Empty,
        );
        let logged = tracing::info_span!("run", trace_id = trace::trace_id(&span));
        Self { begun: Instant::now(), outcome: Mutex::new("succeeded"), span, logged }
    }

    /// Works within the run's spans, and counts it as active meanwhile.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let _active = Active::enter();
        work.instrument(self.logged.clone()).instrument(self.span.clone()).await
    }

    /// Works on one phase.
    pub(super) async fn phase<T>(&self, phase: &str, work: impl Future<Output = T>) -> T {
        let span = tracing::info_span!(
            target: trace::TARGET,
            parent: &self.span,
            "phase",
            otel.name = format_args!("{phase} phase"),
            dcm.phase = phase,
        );
        work.instrument(span).await
    }

    /// Notes what became of a phase that did not succeed.
    pub(super) fn note(&self, outcome: &'static str) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }

    /// The run has ended as its last phase did.
    pub(super) fn ended(&self) {
        let outcome = *self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        self.ended_as(outcome);
    }

    /// The run has ended for this worker.
    pub(super) fn ended_as(&self, outcome: &'static str) {
        self.span.record("dcm.outcome", outcome);
        count(RunKind::Deploy, outcome);
        metrics::histogram!("dcm_job_run_seconds", "kind" => RunKind::Deploy.as_str())
            .record(self.begun.elapsed().as_secs_f64());
    }
}

/// Counts a run that ended.
pub(super) fn count(kind: RunKind, outcome: &'static str) {
    metrics::counter!("dcm_job_runs_total", "kind" => kind.as_str(), "outcome" => outcome).increment(1);
}

/// Counts a run as long as it is worked on.
struct Active(metrics::Gauge);

impl Active {
    fn enter() -> Self {
        let gauge = metrics::gauge!("dcm_job_active_runs", "kind" => RunKind::Deploy.as_str());
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
