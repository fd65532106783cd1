//! An event in one plain sentence: who did what.

use std::fmt::Display;

use dcm_domain::subcloud::{RunOutcome, StepOutcome, SubcloudEvent};
use dcm_schemas::{Envelope, registry};

/// The event in one sentence, beginning with who caused it (a user id, or `system:<role>`).
pub(super) fn sentence(envelope: &Envelope) -> String {
    let who = &envelope.actor.user_id;
    match registry::decode::<SubcloudEvent>(envelope) {
        Ok(event) => format!("{who} {}.", one_line(&predicate(&event))),
        // Written by a program that knows more event names than this one.
        Err(_) => format!("{who} caused {}.", envelope.r#type),
    }
}

/// What was done, without who did it and without the full stop.
fn predicate(event: &SubcloudEvent) -> String {
    use SubcloudEvent as E;
    match event {
        E::SubcloudAdded(e) => {
            format!(
                "added the subcloud {} in region {} with release {}",
                e.name, e.region, e.software_version
            )
        }
        E::CreationAbandoned(e) => format!("gave up the creation of {}: {}", e.name, e.reason),
        E::SubcloudDeleted(e) => format!("deleted the subcloud {}", e.name),
        E::SubcloudDescribed(e) => {
            let description = e.description.as_ref().map(|text| format!("the description to \"{text}\""));
            let location = e.location.as_ref().map(|text| format!("the location to \"{text}\""));
            format!("set {}", listed(description.into_iter().chain(location)))
        }
        E::SubcloudRenamed(e) => format!("renamed the subcloud from {} to {}", e.from, e.to),
        E::GroupMoved(e) => format!("moved the subcloud from group {} to group {}", e.from, e.to),
        E::PeerGroupChanged(e) => match e.to {
            Some(to) => format!("put the subcloud into peer group {to}"),
            None => "took the subcloud out of its peer group".to_owned(),
        },
        E::InstallDataUpdated(_) => "replaced the install values".to_owned(),
        E::BootstrapDataUpdated(e) => {
            let values = e.bootstrap.as_ref().map(|_| "replaced the bootstrap values".to_owned());
            let address = e.bootstrap_address.as_ref().map(|to| format!("set the bootstrap address to {to}"));
            listed(values.into_iter().chain(address))
        }
        E::DeployConfigUpdated(_) => "replaced the deployment configuration".to_owned(),
        E::RehomeDataUpdated(_) => "replaced the data for rehoming".to_owned(),
        E::NetworkUpdated(e) => format!(
            "moved the subcloud to the network {} behind gateway {}",
            e.network.subnet, e.systemcontroller_gateway_ip
        ),
        E::SoftwareVersionChanged(e) => format!("changed the release from {} to {}", e.from, e.to),
        E::SubcloudManaged(e) => {
            let how = if e.forced { ", waiving the usual conditions" } else { "" };
            format!("took the subcloud under management{how}")
        }
        E::SubcloudUnmanaged(e) => {
            let why = if e.migrate { " for its migration to another controller" } else { "" };
            format!("released the subcloud from management{why}")
        }
        E::DeployStatusChanged(e) => {
            format!("changed the deploy status from {} to {}{}", e.from, e.to, because(e.error.as_deref()))
        }
        E::SyncStatusUnknown(e) => {
            format!("marked as unknown {}", listed(e.endpoints.iter().map(|endpoint| endpoint.as_str())))
        }
        E::SyncStatusChanged(e) => format!("found {} {}, which was {}", e.endpoint, e.to, e.from),
        E::AvailabilityChanged(e) => format!("found the subcloud {}, which was {}", e.to, e.from),
        E::BackupStatusChanged(e) => match e.from {
            Some(from) => format!("changed the backup status from {from} to {}", e.to),
            None => format!("set the backup status to {}", e.to),
        },
        E::DeployRunRequested(e) => {
            format!("asked for a deployment run: {}", listed(e.phases.iter().map(|phase| phase.as_str())))
        }
        E::DeployRunClaimed(e) => format!("took the deployment run as worker {}", e.worker),
        E::DeployStepRecorded(e) => match &e.outcome {
            StepOutcome::Done => format!("did step {} of phase {}", e.step, e.phase),
            StepOutcome::Skipped { reason } => {
                format!("skipped step {} of phase {}: {reason}", e.step, e.phase)
            }
        },
        E::DeployAbortRequested(_) => "asked the deployment run to stop".to_owned(),
        E::DeployRunFinished(e) => format!("{}{}", ended(e.outcome), because(e.error.as_deref())),
        E::ChecksSkipped(e) => {
            let checks = e.checks.iter().map(|skipped| format!("{} ({})", skipped.check, skipped.reason));
            format!("did not check {}", listed(checks))
        }
        E::PrestageRequested(e) => format!("asked for release {} to be prestaged", e.task.release),
        E::RestoreRequested(e) => {
            let install = if e.task.with_install { " and installed before" } else { "" };
            format!("asked for the subcloud to be restored{install}")
        }
        E::NetworkReconfigurationRequested(e) => {
            format!("asked for the subcloud to be moved to the network {}", e.task.addresses.network.subnet)
        }
        E::BackupRunRequested(e) => {
            let place = if e.task.local_only { "on the subcloud" } else { "on the controller" };
            format!("asked for a backup to be kept {place}")
        }
        E::BackupRunFinished(e) => {
            format!("ended the backup run as {}{}", e.outcome.as_str(), because(e.error.as_deref()))
        }
        E::AlarmSummaryChanged(e) => format!(
            "counted {} critical, {} major and {} minor alarms and {} warnings: {}",
            e.summary.critical_alarms,
            e.summary.major_alarms,
            e.summary.minor_alarms,
            e.summary.warnings,
            e.summary.cloud_status
        ),
        E::SubcloudImported(e) => {
            format!("took over the subcloud {} in region {} as it was", e.row.name, e.row.region)
        }
    }
}

fn ended(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Succeeded => "ended the deployment run with success",
        RunOutcome::Failed => "ended the deployment run with a failure",
        RunOutcome::Aborted => "ended the deployment run, which was aborted",
        RunOutcome::AbortSuperseded => "ended the deployment run before its abort took hold",
        RunOutcome::Lost => "gave up the deployment run as lost",
    }
}

fn because(error: Option<&str>) -> String {
    error.map(|text| format!(": {}", text.trim_end_matches('.'))).unwrap_or_default()
}

/// `a, b and c`
fn listed<T: Display>(items: impl Iterator<Item = T>) -> String {
    let mut items: Vec<String> = items.map(|item| item.to_string()).collect();
    match (items.pop(), items.is_empty()) {
        (None, _) => "nothing".to_owned(),
        (Some(last), true) => last,
        (Some(last), false) => format!("{} and {last}", items.join(", ")),
    }
}

/// Texts of playbooks and users have lines; a sentence has none.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use dcm_domain::value::{Actor, Timestamp};
    use dcm_schemas::StreamId;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn envelope(who: Actor, name: &str, data: Value) -> Envelope {
        Envelope {
            id: Uuid::nil(),
            r#type: name.to_owned(),
            version: registry::current_version(name),
            stream: StreamId::aggregate("subcloud", Uuid::nil()),
            revision: 0,
            recorded_at: Timestamp::from_micros(0),
            actor: who,
            request_id: None,
            correlation_id: Uuid::nil(),
            causation_id: None,
            command_id: Uuid::nil(),
            traceparent: None,
            command: None,
            data,
            hash: String::new(),
        }
    }

    /// The row of the corpus' own event, under another name.
    fn imported() -> Value {
        let stored: Value =
            serde_json::from_str(include_str!("../../../schemas/corpus/SubcloudImported.v1.json")).unwrap();
        let mut data = stored["data"].clone();
        data["row"]["name"] = json!("a");
        data["row"]["region"] = json!("r");
        data
    }

    fn samples() -> Vec<(&'static str, Value, &'static str)> {
        let run = Uuid::nil();
        let document = json!({"secret": Uuid::nil(), "digest": "d", "shown": {}});
        let network = json!({"subnet": "10.1.0.0/24", "start_ip": "10.1.0.2", "end_ip": "10.1.0.9", "gateway_ip": "10.1.0.1"});
        let added = json!({"id": 1, "name": "a", "region": "r", "software_version": "22.12", "network": network,
            "systemcontroller_gateway_ip": "10.0.0.1", "group_id": 1, "initial_deployment": true});
        vec![
            ("SubcloudAdded", added, "u added the subcloud a in region r with release 22.12."),
            (
                "CreationAbandoned",
                json!({"id": 1, "name": "a", "region": "r", "reason": "too late"}),
                "u gave up the creation of a: too late.",
            ),
            ("SubcloudDeleted", json!({"name": "a"}), "u deleted the subcloud a."),
            (
                "SubcloudDescribed",
                json!({"description": "x\ny", "location": ""}),
                "u set the description to \"x y\" and the location to \"\".",
            ),
            ("SubcloudRenamed", json!({"from": "a", "to": "b"}), "u renamed the subcloud from a to b."),
            ("GroupMoved", json!({"from": 1, "to": 2}), "u moved the subcloud from group 1 to group 2."),
            ("InstallDataUpdated", json!({"install": document}), "u replaced the install values."),
            (
                "BootstrapDataUpdated",
                json!({"bootstrap": document, "bootstrap_address": "10.1.1.1"}),
                "u replaced the bootstrap values and set the bootstrap address to 10.1.1.1.",
            ),
            (
                "DeployConfigUpdated",
                json!({"deploy_config": document}),
                "u replaced the deployment configuration.",
            ),
            ("RehomeDataUpdated", json!({"rehome": document}), "u replaced the data for rehoming."),
            (
                "NetworkUpdated",
                json!({"network": network, "systemcontroller_gateway_ip": "10.0.0.1"}),
                "u moved the subcloud to the network 10.1.0.0/24 behind gateway 10.0.0.1.",
            ),
            (
                "SoftwareVersionChanged",
                json!({"from": "21.12", "to": "22.12"}),
                "u changed the release from 21.12 to 22.12.",
            ),
            (
                "SubcloudManaged",
                json!({"forced": true}),
                "u took the subcloud under management, waiving the usual conditions.",
            ),
            (
                "SubcloudUnmanaged",
                json!({"migrate": true}),
                "u released the subcloud from management for its migration to another controller.",
            ),
            (
                "DeployStatusChanged",
                json!({"from": "installing", "to": "install-failed", "run_id": run, "error": "no power."}),
                "u changed the deploy status from installing to install-failed: no power.",
            ),
            (
                "SyncStatusUnknown",
                json!({"endpoints": ["dc-cert", "load", "platform"]}),
                "u marked as unknown dc-cert, load and platform.",
            ),
            (
                "SyncStatusChanged",
                json!({"endpoint": "dc-cert", "from": "unknown", "to": "in-sync"}),
                "u found dc-cert in-sync, which was unknown.",
            ),
            (
                "AvailabilityChanged",
                json!({"from": "offline", "to": "online"}),
                "u found the subcloud online, which was offline.",
            ),
            ("BackupStatusChanged", json!({"to": "initial"}), "u set the backup status to initial."),
            (
                "DeployRunRequested",
                json!({"run_id": run, "phases": ["install", "bootstrap"], "inputs": {}}),
                "u asked for a deployment run: install and bootstrap.",
            ),
            (
                "DeployRunClaimed",
                json!({"run_id": run, "worker": "w1"}),
                "u took the deployment run as worker w1.",
            ),
            (
                "DeployStepRecorded",
                json!({"run_id": run, "phase": "create", "step": "keystone",
                    "outcome": {"result": "skipped", "reason": "not configured"}}),
                "u skipped step keystone of phase create: not configured.",
            ),
            ("DeployAbortRequested", json!({"run_id": run}), "u asked the deployment run to stop."),
            (
                "DeployRunFinished",
                json!({"run_id": run, "outcome": "lost", "error": "worker lost"}),
                "u gave up the deployment run as lost: worker lost.",
            ),
            ("PeerGroupChanged", json!({"to": 3}), "u put the subcloud into peer group 3."),
            (
                "ChecksSkipped",
                json!({"checks": [{"check": "health", "reason": "no subcloud inventory is configured"}]}),
                "u did not check health (no subcloud inventory is configured).",
            ),
            (
                "PrestageRequested",
                json!({"run_id": run, "task": {"release": "22.12", "force": false}}),
                "u asked for release 22.12 to be prestaged.",
            ),
            (
                "RestoreRequested",
                json!({"run_id": run, "task": {"with_install": true, "local_only": false,
                    "registry_images": false, "bootstrap_address": "10.1.1.1"}}),
                "u asked for the subcloud to be restored and installed before.",
            ),
            (
                "NetworkReconfigurationRequested",
                json!({"run_id": run, "task": {"bootstrap_address": "10.1.1.1",
                    "addresses": {"network": network, "systemcontroller_gateway_ip": "10.0.0.1"}}}),
                "u asked for the subcloud to be moved to the network 10.1.0.0/24.",
            ),
            (
                "BackupRunRequested",
                json!({"run_id": run, "task": {"local_only": true, "registry_images": false,
                    "sysadmin_password": Uuid::nil()}}),
                "u asked for a backup to be kept on the subcloud.",
            ),
            (
                "BackupRunFinished",
                json!({"run_id": run, "outcome": "lost", "error": "no worker for backup"}),
                "u ended the backup run as lost: no worker for backup.",
            ),
            (
                "AlarmSummaryChanged",
                json!({"summary": {"critical_alarms": 1, "major_alarms": 2, "minor_alarms": 3, "warnings": 4,
                    "cloud_status": "critical"}}),
                "u counted 1 critical, 2 major and 3 minor alarms and 4 warnings: critical.",
            ),
            ("SubcloudImported", imported(), "u took over the subcloud a in region r as it was."),
        ]
    }

    #[test]
    fn every_event_has_its_sentence() {
        for (name, data, expected) in samples() {
            let who = Actor { user_id: "u".to_owned(), project_id: None, roles: Vec::new() };
            let envelope = envelope(who, name, data);
            registry::decode::<SubcloudEvent>(&envelope).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(sentence(&envelope), expected, "{name}");
        }
    }

    #[test]
    fn no_event_was_left_out() {
        let error = serde_json::from_value::<SubcloudEvent>(json!({"type": "", "data": {}})).unwrap_err();
        let text = error.to_string();
        let known: BTreeSet<_> = text.split('`').skip(3).step_by(2).collect();
        let sampled: BTreeSet<_> = samples().into_iter().map(|(name, _, _)| name).collect();
        assert_eq!(sampled, known);
    }

    #[test]
    fn the_program_itself_is_named_by_its_role() {
        let event = envelope(Actor::system("cert-mon"), "SubcloudDeleted", json!({"name": "a"}));
        assert_eq!(sentence(&event), "system:cert-mon deleted the subcloud a.");
        let unknown = envelope(Actor::system("x"), "SomethingNew", json!({}));
        assert_eq!(sentence(&unknown), "system:x caused SomethingNew.");
    }
}
