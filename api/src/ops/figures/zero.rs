//! Counters with labels that begin at 0.
//!
//! A series that appears at 1 is no increase to Prometheus: what an alert rule counts would go unseen the first time. So each
//! series that a rule may ask for is there from the start, as far as the values of its labels are known then.

use dcm_domain::subcloud::RunKind;

use super::METRICS;
use crate::policy::rule;

/// Name and value of each label of a series.
pub type Labels = Vec<(&'static str, &'static str)>;

/// Counters, with the values of each of their labels, in the labels' order: every combination begins.
const KNOWN: &[(&str, &[&[&str]])] = &[
    ("dcm_job_runs_total", &[KINDS, &["failed", "lease-lost", "lost", "unclaimed"]]),
    ("dcm_bus_dead_letters_total", &[STREAMS, &["max-deliveries", "terminated"]]),
    ("dcm_bus_consumer_rebuilds_total", &[&["DCM_EVENTS"], &["cert-mon", "deploy-cleanup", "ephemeral"]]),
    ("dcm_bus_consumer_rebuilds_total", &[&["DCM_JOBS"], &["deploy-worker"]]),
    ("dcm_lease_losses_total", &[LEASES]),
    ("dcm_keystone_validations_total", &[&["failed", "invalid", "valid"]]),
    ("dcm_trace_spans_total", &[&["exported", "failed"]]),
];

const KINDS: &[&str] = &[
    RunKind::Deploy.as_str(),
    RunKind::Rehome.as_str(),
    RunKind::Prestage.as_str(),
    RunKind::Restore.as_str(),
    RunKind::NetworkReconfiguration.as_str(),
    RunKind::Backup.as_str(),
];
const STREAMS: &[&str] = &["DCM_EVENTS", "DCM_NOTIFY", "DCM_JOBS", "DCM_DEAD"];
const LEASES: &[&str] =
    &["cert-mon", "projector", "relay", "update-strategy", "update-strategy-without-workers"];

/// Every series that begins at 0: the counter and its labels.
pub fn series() -> Vec<(&'static str, Labels)> {
    let known = KNOWN.iter().flat_map(|(name, values)| {
        let metric = METRICS.iter().find(|metric| metric.name == *name);
        let labels = metric.map(|metric| metric.labels).unwrap_or_default();
        combinations(labels, values).into_iter().map(move |labels| (*name, labels))
    });
    let denials = rule::ALL.iter().map(|(rule, _)| ("dcm_policy_denials_total", vec![("rule", *rule)]));
    known.chain(denials).collect()
}

/// Lets them begin.
pub(super) fn begin() {
    for (name, labels) in series() {
        metrics::counter!(name, &labels).increment(0);
    }
}

fn combinations(labels: &[&'static str], values: &[&[&'static str]]) -> Vec<Labels> {
    let mut found = vec![Labels::new()];
    for (label, values) in labels.iter().zip(values) {
        let mut longer = Vec::new();
        for before in &found {
            for value in *values {
                let mut labels = before.clone();
                labels.push((*label, *value));
                longer.push(labels);
            }
        }
        found = longer;
    }
    found
}

#[cfg(test)]
mod tests {
    use dcm_journal::bus::Stream;

    use super::*;

    #[test]
    fn every_combination_begins_once() {
        let all = series();
        for (name, labels) in &all {
            let same = all.iter().filter(|(other, with)| other == name && with == labels);
            assert_eq!(same.count(), 1, "{name}: {labels:?}");
            let metric = METRICS.iter().find(|metric| metric.name == *name);
            let names: Vec<&str> = labels.iter().map(|(label, _)| *label).collect();
            assert_eq!(metric.map(|metric| metric.labels), Some(names.as_slice()), "{name}");
        }
        let runs = all.iter().filter(|(name, _)| *name == "dcm_job_runs_total").count();
        assert_eq!(runs, KINDS.len() * 4);
    }

    #[test]
    fn every_stream_of_the_bus_is_known() {
        assert_eq!(STREAMS, Stream::ALL.map(Stream::name));
    }
}
