//! Second subnets of network reconfigurations: an active run keeps them, what crashes leave of them is settled.

use dcm_domain::aggregate::Command;
use dcm_domain::directory::{Directory, Entry, ReserveSubnet};
use dcm_domain::subcloud::command::{
    ClaimRun, CompletePhase, LoseRun, LostBecause, NewAddresses, ReconfigureNetwork, UnmanageSubcloud,
};
use dcm_domain::subcloud::{ManagementNetwork, NetworkTask, Rejection, RunInputs, Subcloud};
use dcm_domain::value::{Phase, Subnet, Timestamp};
use dcm_journal::fleet::NetworkMove;
use dcm_journal::repository::Repository;
use dcm_schemas::StreamId;
use dcm_workers::housekeeping::Housekeeping;
use uuid::Uuid;

use super::site::{Site, meta};

fn in_two_minutes() -> Timestamp {
    Timestamp::from_micros(Timestamp::from(chrono::Utc::now()).micros() + 120_000_000)
}

fn target() -> Subnet {
    Subnet::parse("172.16.0.0/24").unwrap()
}

async fn entry(site: &Site, entity: Uuid) -> Entry {
    site.fleet.directory().await.unwrap().entry(entity).unwrap().clone()
}

/// Asks for a move to [`target`]; the run.
async fn ask(site: &Site, entity: Uuid) -> Uuid {
    let run_id = Uuid::now_v7();
    let network = ManagementNetwork {
        subnet: target().as_str().to_owned(),
        start_ip: "172.16.0.2".to_owned(),
        end_ip: "172.16.0.50".to_owned(),
        gateway_ip: "172.16.0.1".to_owned(),
    };
    let task = NetworkTask {
        addresses: NewAddresses { network, systemcontroller_gateway_ip: "192.168.204.101".to_owned() },
        bootstrap_address: "192.168.111.12".to_owned(),
        description: None,
        location: None,
        group_id: None,
        install: None,
    };
    let command = ReconfigureNetwork { run_id, inputs: RunInputs::default(), task };
    let held = NetworkMove { subnet: target(), group_id: None };
    site.fleet.reconfigure_network(entity, held, &command, &meta()).await.unwrap();
    run_id
}

/// Changes the subcloud as a process does that dies before it tells the directory.
async fn and_die<C: Command<Subcloud, Rejection = Rejection>>(site: &Site, entity: Uuid, command: C) {
    let subclouds: Repository<Subcloud> = Repository::new(site.journal.clone());
    subclouds.run(&StreamId::aggregate("subcloud", entity), &command, &meta()).await.unwrap();
}

#[tokio::test]
async fn a_second_subnet_is_kept_for_its_run_and_settled_after_it() {
    let site = Site::with(1).await;
    site.run(1, UnmanageSubcloud::default()).await;
    site.settled().await;
    let entity = site.uuid(1).await;
    let own = entry(&site, entity).await.subnet;
    let mut housekeeping = Housekeeping::new(site.fleet.clone(), site.models.clone());

    // A request that died before it asked for its run.
    let directory: Repository<Directory> = Repository::new(site.journal.clone());
    let reserve = ReserveSubnet { entity, subnet: target() };
    directory.run(&Directory::STREAM.parse().unwrap(), &reserve, &meta()).await.unwrap();
    assert_eq!(housekeeping.settle(in_two_minutes()).await.unwrap(), 1);
    assert_eq!(
        (entry(&site, entity).await.next_subnet, entry(&site, entity).await.subnet),
        (None, own.clone())
    );

    // A run that is there keeps it; its end gives it back.
    let run_id = ask(&site, entity).await;
    site.settled().await;
    assert_eq!(housekeeping.settle(in_two_minutes()).await.unwrap(), 0, "the run is still to decide");
    assert_eq!(entry(&site, entity).await.next_subnet, Some(target()));
    and_die(&site, entity, LoseRun { run_id, because: LostBecause::NoWorker }).await;
    site.settled().await;
    assert_eq!(housekeeping.settle(in_two_minutes()).await.unwrap(), 1);
    assert_eq!((entry(&site, entity).await.next_subnet, entry(&site, entity).await.subnet), (None, own));

    // One that succeeded has moved the subcloud.
    let run_id = ask(&site, entity).await;
    and_die(&site, entity, ClaimRun { run_id, worker: "w".to_owned() }).await;
    and_die(&site, entity, CompletePhase { run_id, phase: Phase::ReconfigureNetwork }).await;
    site.settled().await;
    assert_eq!(housekeeping.settle(in_two_minutes()).await.unwrap(), 1);
    let settled = entry(&site, entity).await;
    assert_eq!((settled.next_subnet, settled.subnet), (None, Some(target())));
    assert_eq!(housekeeping.settle(in_two_minutes()).await.unwrap(), 0);
}
