//! What cert-mon is told of a subcloud that has another name, or other addresses (access.md §12.4, §13.1).

use dcm_domain::subcloud::command::{
    ClaimRun, CompletePhase, NewAddresses, ReconfigureNetwork, ReportAvailability, StartPlaybook,
    UnmanageSubcloud,
};
use dcm_domain::subcloud::{ManagementNetwork, NetworkTask, RunInputs};
use dcm_domain::value::{Availability, Name, Phase, SyncStatus};
use dcm_workers::certmon::Settings;
use serde_json::json;
use uuid::Uuid;

use super::site::{Site, meta, settings, until};

#[tokio::test]
async fn ac_083_a_renamed_subcloud_is_told_of_by_its_region() {
    let site = Site::with(1).await;
    let (entity, region) = (site.uuid(1).await, site.region(1).await);
    site.watch(settings(false));
    site.run(1, UnmanageSubcloud::default()).await;
    site.run(1, ReportAvailability { to: Availability::Offline }).await;
    site.fleet.rename(entity, Name::parse("renamed").unwrap(), &meta()).await.unwrap();
    site.fleet.run(entity, &ReportAvailability { to: Availability::Online }, &meta()).await.unwrap();
    until("the audit", async || site.logs.audits(&region, "in-sync") > 0).await;
    let told = site.notice("dcm.v1.notify.subcloud-online").await;
    assert_eq!(told, json!({"subcloud_name": region}));
}

#[tokio::test]
async fn ac_107_the_next_audit_goes_to_the_new_address() {
    let site = Site::with(1).await;
    site.run(1, UnmanageSubcloud::default()).await;
    site.set_dc_cert(1, SyncStatus::Unknown).await;
    site.settled().await;
    let port = site.endpoints.address().port();
    let at_once = Settings { certificate_timeout_secs: 1, network_retry_interval: 1, ..settings(false) };
    site.watch_at(at_once, &format!("https://{{management_start_ip}}:{port}"));
    site.until_audited(1, "unreachable: ", 1).await;
    move_to(&site, "127.0.0.1").await;
    site.until_dc_cert(1, SyncStatus::InSync).await;
    site.until_audited(1, "in-sync", 1).await;
    let told = site.notice("dcm.v1.notify.subcloud-sysinv-endpoint-update").await;
    assert_eq!(told["endpoint"], "https://127.0.0.1:6386/v1");
}

/// Gives the subcloud another network, as the worker of a reconfiguration does.
async fn move_to(site: &Site, start_ip: &str) {
    let network = ManagementNetwork {
        subnet: "127.0.0.0/24".to_owned(),
        start_ip: start_ip.to_owned(),
        end_ip: "127.0.0.50".to_owned(),
        gateway_ip: "127.0.0.254".to_owned(),
    };
    let systemcontroller_gateway_ip = "192.168.204.101".to_owned();
    let task = NetworkTask {
        addresses: NewAddresses { network, systemcontroller_gateway_ip },
        bootstrap_address: "10.10.10.12".to_owned(),
        description: None,
        location: None,
        group_id: None,
        install: None,
    };
    let (run_id, phase) = (Uuid::now_v7(), Phase::ReconfigureNetwork);
    site.run(1, ReconfigureNetwork { run_id, inputs: RunInputs::default(), task }).await;
    site.run(1, ClaimRun { run_id, worker: "w".to_owned() }).await;
    site.run(1, StartPlaybook { run_id, phase }).await;
    site.run(1, CompletePhase { run_id, phase }).await;
}
