//! Figures that nobody reports by himself are looked at now and then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dcm_api::ops::Readiness;
use dcm_journal::store::Journal;
use dcm_journal::vault::Vault;
use dcm_projections::ReadModels;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

/// How often.
const EVERY: Duration = Duration::from_secs(5);
/// How long a store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Events that a lag is counted to, where they must be counted.
const MOST_COUNTED: u64 = 100_000;

/// The parts of a process that can be asked whether they are ready.
#[derive(Clone)]
pub struct Parts {
    /// What roles and connections say.
    pub readiness: Arc<Readiness>,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// The vault.
    pub vault: Arc<dyn Vault>,
    /// The read models.
    pub models: Arc<ReadModels>,
}

impl Parts {
    /// Every part by name, with what it says; the error is why it is not ready.
    pub async fn ask(&self) -> BTreeMap<String, Result<&'static str, String>> {
        let (mut parts, journal, models, vault) = tokio::join!(
            self.readiness.ask(),
            in_time(self.journal.head()),
            in_time(self.models.health()),
            // Any question will do.
            in_time(self.vault.name_of("system:readiness")),
        );
        for (name, answer) in [("journal", journal), ("read-models", models), ("vault", vault)] {
            parts.insert(name.to_owned(), answer.map(|()| "ready"));
        }
        parts
    }
}

impl Parts {
    /// Tells how far every read model is behind the journal.
    async fn tell_lags(&self) -> Option<()> {
        // The read models first: what happens in between counts as lag, never as being ahead.
        let models = self.models.status().await.ok()?;
        let head = self.journal.head().await.ok()?;
        for model in models {
            let active =
                model.checkpoints.iter().find(|checkpoint| checkpoint.version == model.active_version);
            let position = active.map_or(0, |checkpoint| checkpoint.position);
            let (events, seconds) = if position < head { self.lag(position).await? } else { (0.0, 0.0) };
            let name = model.name;
            metrics::gauge!("dcm_projection_lag_events", "read_model" => name.clone()).set(events);
            metrics::gauge!("dcm_projection_lag_seconds", "read_model" => name.clone()).set(seconds);
            let stopped = f64::from(u8::from(model.failure.is_some()));
            metrics::gauge!("dcm_projection_stopped_ratio", "read_model" => name.clone()).set(stopped);
            let rebuild = model.rebuild.filter(|rebuild| rebuild.phase.is_under_way());
            let active = f64::from(u8::from(rebuild.is_some()));
            metrics::gauge!("dcm_projection_rebuild_active_ratio", "read_model" => name.clone()).set(active);
            let left =
                rebuild.and_then(|rebuild| Some(rebuild.events_total?.saturating_sub(rebuild.events_done)));
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            let left = left.unwrap_or(0) as f64;
            metrics::gauge!("dcm_projection_rebuild_left_events", "read_model" => name).set(left);
        }
        Some(())
    }

    /// How many events stand behind `position`, as far as they are counted, and the age of the first in seconds.
    async fn lag(&self, position: u64) -> Option<(f64, f64)> {
        let events = self.journal.count_after(position, MOST_COUNTED).await.ok()?;
        let first = self.journal.read_all(position, 1).await.ok()?;
        let since = first.first().map(|event| event.envelope.recorded_at.micros());
        let age = since.map_or(0, |since| chrono::Utc::now().timestamp_micros().saturating_sub(since).max(0));
        #[expect(clippy::cast_precision_loss, reason = "lags are far below 2^52, also in microseconds")]
        let lag = (events as f64, age as f64 / 1e6);
        Some(lag)
    }
}

/// Whether there is an answer. Why there is none is for the log of whoever works with it.
async fn in_time<T, E>(answer: impl Future<Output = Result<T, E>>) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err("not available".to_owned()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// What is known from the start and stays so.
pub fn begin() {
    metrics::gauge!("dcm_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("dcm_process_start_time_seconds").set(started.as_secs_f64());
}

/// Looks at everything until `stop`, and lets histograms take up what was recorded.
/// How far read models are is told by processes that could be their projector: `projects`.
pub async fn sample(parts: Parts, projects: bool, metrics: PrometheusHandle, stop: CancellationToken) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        metrics.run_upkeep();
        for (part, state) in parts.ask().await {
            let ready = if state.is_ok() { 1.0 } else { 0.0 };
            metrics::gauge!("dcm_part_ready_ratio", "part" => part).set(ready);
        }
        if projects {
            // Without journal or read models nobody knows; their parts say so.
            let _ = tokio::time::timeout(PATIENCE, parts.tell_lags()).await;
        }
        for (pool, open, idle, most) in parts.models.pools() {
            for (state, connections) in [("used", open.saturating_sub(idle)), ("idle", idle), ("most", most)]
            {
                metrics::gauge!("dcm_sql_pool_connections", "pool" => pool, "state" => state)
                    .set(f64::from(connections));
            }
        }
        if let Some(bytes) = resident_bytes() {
            metrics::gauge!("dcm_process_resident_memory_bytes").set(bytes);
        }
    }
}

/// What of the process is in RAM, as the kernel counts it.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u32 = line.split_whitespace().next()?.parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    #[test]
    fn a_process_has_some_memory() {
        assert!(super::resident_bytes().unwrap() > 1_000_000.0);
    }
}
