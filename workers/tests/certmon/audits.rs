//! What is audited when, and what is reported.

use dcm_domain::subcloud::command::{ManageSubcloud, ReportAvailability, UnmanageSubcloud};
use dcm_domain::value::{Availability, DeployStatus, Endpoint, SyncStatus};
use dcm_workers::certmon::Settings;

use super::gate::Gate;
use super::site::{Site, settings, until};

fn migrate() -> UnmanageSubcloud {
    UnmanageSubcloud { migrate: true, ..UnmanageSubcloud::default() }
}

#[tokio::test]
async fn ac_097_a_start_audits_what_is_not_in_sync() {
    let site = Site::with(3).await;
    site.set_dc_cert(1, SyncStatus::OutOfSync).await;
    site.set_dc_cert(3, SyncStatus::Unknown).await;
    site.settled().await;
    site.watch(settings(false));
    site.until_dc_cert(1, SyncStatus::InSync).await;
    site.until_dc_cert(3, SyncStatus::InSync).await;
    until("the log", async || site.logs.all_audits() == 2).await;
    assert_eq!(site.logs.audits(&site.region(2).await, ""), 0);
}

#[tokio::test]
async fn ac_098_a_start_audits_all_when_told_so() {
    let site = Site::with(3).await;
    site.watch(Settings { startup_audit_all: true, ..settings(false) });
    for number in 1..=3 {
        site.until_audited(number, "in-sync", 1).await;
    }
    assert_eq!(site.logs.all_audits(), 3);
}

#[tokio::test]
async fn ac_099_a_migrating_subcloud_is_skipped_and_the_others_go_on() {
    let site = Site::with(3).await;
    let (first, second, third) = (site.region(1).await, site.region(2).await, site.region(3).await);
    site.watch(settings(true));
    for number in 1..=3 {
        site.until_audited(number, "in-sync", 1).await;
    }
    site.run(1, migrate()).await;
    site.run(2, UnmanageSubcloud::default()).await;
    site.until_audited(1, "skipped: rehome-pending", 1).await;
    let before = [&first, &second, &third].map(|region| site.logs.audits(region, "in-sync"));
    site.until_audited(2, "in-sync", before[1] + 2).await;
    site.until_audited(3, "in-sync", before[2] + 2).await;
    assert_eq!(site.logs.audits(&first, "in-sync"), before[0], "no handshake with a migrating subcloud");

    let migrating = site.subcloud(1).await;
    assert_eq!(migrating.deploy, DeployStatus::RehomePending);
    assert!(migrating.endpoints.values().all(|status| *status == SyncStatus::Unknown));
    let unmanaged = site.subcloud(2).await;
    for (endpoint, status) in &unmanaged.endpoints {
        let kept = *endpoint == Endpoint::DcCert;
        assert_eq!(*status, if kept { SyncStatus::InSync } else { SyncStatus::Unknown }, "{endpoint}");
    }

    site.run(1, ManageSubcloud::default()).await;
    site.until_dc_cert(1, SyncStatus::InSync).await;
    site.until_audited(1, "in-sync", before[0] + 1).await;
}

#[tokio::test]
async fn events_alone_cause_audits_and_replayed_ones_none() {
    let site = Site::with(3).await;
    site.set_dc_cert(3, SyncStatus::OutOfSync).await;
    site.settled().await;
    site.watch(settings(false));
    // Then the start is over, and audits nothing of what follows.
    site.until_audited(3, "in-sync", 1).await;
    // Everything so far was new to the bus when it was refilled, and is replayed to cert-mon.
    site.run(1, migrate()).await;
    site.until_audited(1, "skipped: rehome-pending", 1).await;
    assert_eq!(site.logs.all_audits(), 2, "one line for the skip, none for what was replayed");

    site.run(1, ManageSubcloud::default()).await;
    site.until_audited(1, "in-sync", 1).await;
    assert_eq!(site.dc_cert(1).await, SyncStatus::InSync);

    site.run(2, ReportAvailability { to: Availability::Offline }).await;
    assert_eq!(site.dc_cert(2).await, SyncStatus::Unknown);
    site.run(2, ReportAvailability { to: Availability::Online }).await;
    site.until_dc_cert(2, SyncStatus::InSync).await;
    site.until_audited(2, "in-sync", 1).await;
    assert_eq!(site.logs.all_audits(), 4, "nothing else was audited");
}

/// A subcloud whose certificate is being looked at when `change` happens to it; returns once the handshake is done.
async fn changed_during_a_handshake(change: UnmanageSubcloud) -> (Site, Gate) {
    let site = Site::with(1).await;
    site.set_dc_cert(1, SyncStatus::Unknown).await;
    site.settled().await;
    let gate = Gate::before(site.endpoints.address()).await;
    site.watch_at(settings(false), &format!("https://{}", gate.address));
    gate.arrived(1).await;
    site.run(1, change).await;
    gate.open();
    // The handshake the report of which is too late.
    site.until_audited(1, "in-sync", 1).await;
    (site, gate)
}

#[tokio::test]
async fn a_migration_between_handshake_and_report_leaves_dc_cert_unknown() {
    let (site, _gate) = changed_during_a_handshake(migrate()).await;
    site.until_audited(1, "skipped: rehome-pending", 1).await;
    assert_eq!(site.dc_cert(1).await, SyncStatus::Unknown);
    assert_eq!(site.times_in_sync(1).await, 1, "by the fill, and never again");
}

#[tokio::test]
async fn an_unmanage_between_handshake_and_report_is_audited_again() {
    let (site, _gate) = changed_during_a_handshake(UnmanageSubcloud::default()).await;
    site.until_dc_cert(1, SyncStatus::InSync).await;
    let history = site.history(1).await;
    let unmanaged = history.iter().rfind(|event| event.r#type == "SubcloudUnmanaged").unwrap();
    let report = history.iter().rfind(|event| event.r#type == "SyncStatusChanged").unwrap();
    let seen = report.command.as_ref().unwrap().arguments["seen"].as_u64().unwrap();
    assert!(seen >= unmanaged.revision, "what was seen before the unmanage was not applied");
    site.until_audited(1, "in-sync", 2).await;
}
