//! Wrong certificates, endpoints out of reach, and a journal that does not answer.

use std::net::{Ipv4Addr, TcpListener};

use dcm_domain::subcloud::command::ReportAvailability;
use dcm_domain::value::{Availability, SyncStatus};
use dcm_workers::certmon::Settings;
use dcm_workers::certmon::handshake::expected_ca_path;
use dcm_workers::certmon::worker::{CannotStart, CertMon, Context};
use dcm_workers::demo::authority::Authority;

use super::site::{Site, settings, until};

/// An address nobody listens at.
fn nowhere() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("https://{}", listener.local_addr().unwrap())
}

fn all_at_start() -> Settings {
    Settings { startup_audit_all: true, ..settings(false) }
}

#[tokio::test]
async fn ac_101_a_wrong_certificate_is_out_of_sync_and_looked_at_again() {
    let site = Site::with(1).await;
    let region = site.region(1).await;
    let (strange, home) = (tempfile::tempdir().unwrap(), site.ca_dir());
    let right = std::fs::read(expected_ca_path(&home, &region)).unwrap();
    Authority::open(strange.path()).unwrap().write_expected(&home, [region.as_str()]).unwrap();
    site.watch(Settings { bad_certificate_retry_interval: 1, ..all_at_start() });
    site.until_dc_cert(1, SyncStatus::OutOfSync).await;
    site.until_audited(1, "out-of-sync: ", 2).await;

    std::fs::write(expected_ca_path(&home, &region), right).unwrap();
    site.until_dc_cert(1, SyncStatus::InSync).await;
    site.until_audited(1, "in-sync", 1).await;
}

#[tokio::test]
async fn ac_103_an_endpoint_out_of_reach_is_out_of_sync_at_the_last_attempt() {
    let site = Site::with(1).await;
    let patience = Settings { network_retry_interval: 1, network_max_retry: 3, ..all_at_start() };
    site.watch_at(patience, &nowhere());
    site.until_audited(1, "unreachable: ", 2).await;
    site.until_dc_cert(1, SyncStatus::OutOfSync).await;
    site.until_audited(1, "out-of-sync: unreachable at attempt 3", 1).await;
    assert_eq!(site.logs.audits(&site.region(1).await, "unreachable: "), 2);
}

#[tokio::test]
async fn ac_104_an_offline_subcloud_out_of_reach_is_dropped() {
    let site = Site::with(2).await;
    site.run(1, ReportAvailability { to: Availability::Offline }).await;
    site.settled().await;
    let patience = Settings { network_retry_interval: 1, network_max_retry: 4, ..all_at_start() };
    site.watch_at(patience, &nowhere());
    site.until_audited(1, "offline: ", 1).await;
    // The one that is online is tried on meanwhile.
    site.until_audited(2, "out-of-sync: ", 1).await;
    assert_eq!(site.logs.audits(&site.region(1).await, ""), 1);
    assert_eq!(site.dc_cert(1).await, SyncStatus::Unknown);
}

#[tokio::test]
async fn ac_105_without_an_expected_ca_nothing_is_reported() {
    let site = Site::with(2).await;
    site.set_dc_cert(1, SyncStatus::OutOfSync).await;
    site.settled().await;
    std::fs::remove_file(expected_ca_path(&site.ca_dir(), &site.region(1).await)).unwrap();
    site.watch(all_at_start());
    site.until_audited(1, "ca-missing: ", 1).await;
    site.until_audited(2, "in-sync", 1).await;
    assert_eq!(site.dc_cert(1).await, SyncStatus::OutOfSync);
}

#[tokio::test]
async fn a_journal_that_does_not_answer_is_said_once_and_costs_no_audit() {
    let site = Site::with(3).await;
    site.watch(settings(true));
    site.until_audited(3, "in-sync", 1).await;
    site.faults.set_down(true);
    let silent = ["does not answer", "journal"];
    until("the outage", async || site.logs.count(&silent) == 1).await;
    site.faults.set_down(false);
    until("the end of the outage", async || site.logs.count(&["answers again", "journal"]) == 1).await;
    for number in 1..=3 {
        let region = site.region(number).await;
        let seen = site.logs.audits(&region, "in-sync");
        site.until_audited(number, "in-sync", seen + 1).await;
    }
    assert_eq!(site.logs.count(&silent), 1);
    assert_eq!(site.logs.count(&["not-found"]), 0);
}

#[tokio::test]
async fn settings_without_a_meaning_are_refused() {
    let site = Site::with(1).await;
    let context = Context {
        fleet: site.fleet.clone(),
        journal: site.journal.clone(),
        models: site.models.clone(),
        bus: std::sync::Arc::new(dcm_journal::bus::LocalBus::default()),
        settings: Settings { poll_interval: 0, ..Settings::default() },
        template: site.endpoints.template().parse().unwrap(),
        ca_dir: site.ca_dir(),
    };
    assert!(matches!(CertMon::new(context), Err(CannotStart::Settings(_))));
}
