//! Every metric of the program, in one list: what `/metrics` describes, what the operator's guide explains, and what
//! dashboard and alert rules may use.
//!
//! Names end in their unit, or in `_total` where something is counted. Labels take few values, all of the program's own
//! making: never a name, an address or an id.

pub mod zero;

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts measurements by upper bounds, which are given here.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it counts or measures.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

/// Bounds for what is over in moments, in seconds.
const MOMENTS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bounds for jobs, in seconds.
const JOBS: &[f64] = &[1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, labels, help }
}

const fn gauge(
    name: &'static str,
    unit: Unit,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, labels, help }
}

const fn seconds(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram(MOMENTS), unit: Unit::Seconds, labels, help }
}

/// All of them, by the part of the program that they tell of.
pub const METRICS: &[Metric] = &[
    // HTTP.
    counter(
        "dcm_http_requests_total",
        &["method", "route", "status"],
        "Requests answered, by route and class of status.",
    ),
    seconds(
        "dcm_http_request_seconds",
        &["method", "route"],
        "Time from the head of a request to the head of its answer.",
    ),
    gauge("dcm_http_in_flight_requests", Unit::Count, &[], "Requests that are not answered yet."),
    counter(
        "dcm_http_stale_answers_total",
        &[],
        "Writes whose answer did not wait any longer for the read models to show them.",
    ),
    // Who may do what.
    counter("dcm_policy_denials_total", &["rule"], "Requests that the policy refused, by rule."),
    counter(
        "dcm_keystone_validations_total",
        &["outcome"],
        "Tokens that Keystone was asked about: valid, invalid, or failed because it could not be asked.",
    ),
    seconds(
        "dcm_keystone_validation_seconds",
        &[],
        "Time that Keystone took to say something about a token.",
    ),
    counter(
        "dcm_keystone_cache_hits_total",
        &[],
        "Tokens that were known from an earlier answer of Keystone.",
    ),
    // Commands and the journal.
    counter(
        "dcm_commands_total",
        &["aggregate", "command", "outcome"],
        "Commands by what became of them: accepted, rejected, conflict (others kept getting in between) or unavailable.",
    ),
    seconds("dcm_command_seconds", &["aggregate"], "Time to load, decide and append, whatever the outcome."),
    counter(
        "dcm_command_retries_total",
        &["aggregate"],
        "Decisions made again because another process had written to the stream.",
    ),
    seconds(
        "dcm_journal_append_seconds",
        &[],
        "Time until an append was on disk, its wait in the queue included.",
    ),
    seconds(
        "dcm_journal_flush_seconds",
        &[],
        "Time of one transaction of the journal, which holds many appends.",
    ),
    counter("dcm_journal_appends_total", &[], "Appends that the journal answered."),
    counter(
        "dcm_journal_conflicts_total",
        &[],
        "Appends refused because the stream was at another revision.",
    ),
    counter("dcm_journal_failures_total", &[], "Appends that the journal could not confirm."),
    // Read models.
    gauge(
        "dcm_projection_lag_events",
        Unit::Count,
        &["read_model"],
        "Events of the journal that a read model does not show yet.",
    ),
    gauge(
        "dcm_projection_lag_seconds",
        Unit::Seconds,
        &["read_model"],
        "Age of the oldest event that a read model does not show yet; 0 without one.",
    ),
    gauge(
        "dcm_projection_stopped_ratio",
        Unit::Count,
        &["read_model"],
        "1 while a read model has stopped in front of an event that it cannot take, else 0.",
    ),
    gauge(
        "dcm_projection_rebuild_active_ratio",
        Unit::Count,
        &["read_model"],
        "1 while a read model is being rebuilt, in whatever process, else 0.",
    ),
    gauge(
        "dcm_projection_rebuild_left_events",
        Unit::Count,
        &["read_model"],
        "Events that the rebuild of a read model has still to fold; 0 without one.",
    ),
    counter(
        "dcm_projection_failures_total",
        &["read_model"],
        "Times that a read model could not take an event.",
    ),
    counter("dcm_projected_events_total", &[], "Events that the projector of this process applied."),
    // Relay and bus.
    counter("dcm_relay_published_total", &[], "Events that this process put on the bus."),
    seconds("dcm_relay_publish_seconds", &[], "Time until the bus had stored a batch of events."),
    gauge("dcm_relay_lag_events", Unit::Count, &[], "Events of the journal that are not on the bus yet."),
    gauge(
        "dcm_relay_lag_seconds",
        Unit::Seconds,
        &[],
        "Age of the oldest event that is not on the bus yet; 0 without one.",
    ),
    gauge(
        "dcm_relay_halted_ratio",
        Unit::Count,
        &[],
        "1 while the relay of this process does not go on before somebody decides, else 0.",
    ),
    counter("dcm_relay_fenced_total", &[], "Times that a relay stopped because another one was at work."),
    counter(
        "dcm_relay_data_omitted_total",
        &[],
        "Events that went out without their data, because the bus cannot carry it.",
    ),
    counter(
        "dcm_bus_dead_letters_total",
        &["stream", "cause"],
        "Messages that consumers gave up and this process kept as dead letters.",
    ),
    counter(
        "dcm_bus_gaps_healed_total",
        &[],
        "Times that the relay found the bus without events it had had, and filled it from the journal.",
    ),
    counter(
        "dcm_bus_consumer_rebuilds_total",
        &["stream", "consumer"],
        "Subscriptions that ended and were made anew.",
    ),
    // The vault.
    seconds("dcm_vault_seconds", &["operation"], "Time of one operation of the vault."),
    counter("dcm_vault_failures_total", &[], "Operations for which the vault's store gave no answer."),
    // Jobs and audits.
    counter("dcm_job_runs_total", &["kind", "outcome"], "Runs that ended, by kind of job and outcome."),
    Metric {
        name: "dcm_job_run_seconds",
        kind: Kind::Histogram(JOBS),
        unit: Unit::Seconds,
        labels: &["kind"],
        help: "Time from the claim of a run to its end.",
    },
    gauge("dcm_job_active_runs", Unit::Count, &["kind"], "Runs that this process works on."),
    counter("dcm_certmon_audits_total", &["outcome"], "Certificate audits by outcome."),
    // Processes among each other.
    counter(
        "dcm_lease_acquisitions_total",
        &["lease"],
        "Times that this process took over a singleton's lease.",
    ),
    counter(
        "dcm_lease_losses_total",
        &["lease"],
        "Times that this process lost a lease that it had not given up.",
    ),
    gauge(
        "dcm_lease_held_ratio",
        Unit::Count,
        &["lease"],
        "1 while this process holds a singleton's lease, else 0.",
    ),
    gauge("dcm_part_ready_ratio", Unit::Count, &["part"], "1 while a part of this process is ready, else 0."),
    gauge(
        "dcm_sql_pool_connections",
        Unit::Count,
        &["pool", "state"],
        "Connections to a database that are idle, in use, or allowed at most.",
    ),
    // The process itself.
    gauge("dcm_build_info", Unit::Count, &["version"], "1, with the version of the program as label."),
    gauge(
        "dcm_process_start_time_seconds",
        Unit::Seconds,
        &[],
        "When the process started, in seconds since 1970.",
    ),
    gauge("dcm_process_resident_memory_bytes", Unit::Bytes, &[], "Memory of the process that is in RAM."),
    counter(
        "dcm_trace_spans_total",
        &["outcome"],
        "Spans that were given to the collector (exported), or could not be (failed).",
    ),
];

/// A recorder with the bounds of every histogram.
///
/// # Errors
/// Never in practice: no list of bounds is empty.
pub fn recorder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(bounds) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)?;
        }
    }
    Ok(builder)
}

/// Tells the installed recorder what every metric means. Counters begin at 0, as far as their labels are known, so that the
/// first thing they count is an increase.
pub fn describe() {
    for Metric { name, kind, unit, labels, help } in METRICS.iter().copied() {
        match kind {
            Kind::Counter => {
                metrics::describe_counter!(name, unit, help);
                if labels.is_empty() {
                    metrics::counter!(name).increment(0);
                }
            }
            Kind::Gauge => metrics::describe_gauge!(name, unit, help),
            Kind::Histogram(_) => metrics::describe_histogram!(name, unit, help),
        }
    }
    zero::begin();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_stands_once_and_ends_in_what_it_measures() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for Metric { name, kind, unit, help, .. } in METRICS {
            let endings: &[&str] = match (kind, unit) {
                (Kind::Counter, _) => &["_total"],
                (Kind::Histogram(_), _) | (Kind::Gauge, Unit::Seconds) => &["_seconds"],
                (Kind::Gauge, Unit::Bytes) => &["_bytes"],
                (Kind::Gauge, _) => {
                    &["_events", "_requests", "_runs", "_connections", "_messages", "_ratio", "_info"]
                }
            };
            assert!(endings.iter().any(|ending| name.ends_with(ending)), "{name}");
            assert!(name.starts_with("dcm_") && help.ends_with('.'), "{name}: {help}");
        }
    }

    #[test]
    fn bounds_grow() {
        for metric in METRICS {
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{}", metric.name);
            }
        }
        recorder().unwrap();
    }
}
