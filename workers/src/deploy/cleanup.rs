//! What deletions and crashes leave behind: secrets, kept files, private directories, leases.
//!
//! The event of a deletion is told by the bus and may be lost with it, so the same is looked for at every start; doing
//! it twice changes nothing.

use std::collections::{HashMap, HashSet};
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dcm_domain::subcloud::{Subcloud, SubcloudEvent, SubcloudRenamed};
use dcm_domain::value::{Name, SecretRef, Timestamp};
use dcm_journal::bus::{Consumer, Delivery, Start, Stream, consume_forever};
use dcm_journal::fleet::{Fleet, Reference};
use dcm_journal::lease::{Lease, LeaseError, LeaseRecord, process_alive};
use dcm_journal::repository::Unavailable;
use dcm_journal::vault::{References, SweepError, VaultError, sweep};
use dcm_projections::ReadModels;
use dcm_schemas::cloudevents::Received;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Shared;
use super::files::{Paths, Private};
use super::ownership::{Details, RUN_LEASES, lease_name};
use crate::outage::Outage;
use crate::playbook::group_alive;

/// How often directories of ended runs are looked for: passwords are in them.
const OFTEN: Duration = Duration::from_secs(2);
/// Rounds between two looks for leases of ended runs.
const LESS_OFTEN: u32 = 15;
/// Rounds between two sweeps of the vault.
const SELDOM: u32 = 1800;
/// How long a stop waits for its last look.
const LAST_LOOK: Duration = Duration::from_secs(5);
/// A secret is written before its event; after this time without one there will be none.
const ORPHANED_AFTER: i64 = 3_600_000_000;
const PAGE: u32 = 200;
const MOST_RUNS: u32 = 10_000;
const RETRY: Duration = Duration::from_secs(5);
const INVENTORY: &str = "_inventory.yml";

#[derive(Debug, thiserror::Error)]
pub(super) enum CleanupError {
    #[error(transparent)]
    Journal(#[from] Unavailable),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Sweep(#[from] SweepError),
    #[error(transparent)]
    Leases(#[from] LeaseError),
    #[error("the read models do not answer: {0}")]
    Models(#[from] sqlx::Error),
    #[error("a file cannot be removed: {0}")]
    Files(#[from] io::Error),
}

/// Follows deletions and renames until `stop`.
pub(super) async fn follow_events(shared: Arc<Shared>, stop: CancellationToken) {
    let consumer = Consumer {
        durable: Some("deploy-cleanup".to_owned()),
        filters: ["deleted", "renamed"].map(|what| format!("dcm.v1.event.subcloud.*.subcloud-{what}")).into(),
        start: Start::All,
        ..Consumer::default()
    };
    let bus = Arc::clone(&shared.bus);
    consume_forever(bus, Stream::Events, consumer, stop, |delivery| {
        let shared = Arc::clone(&shared);
        async move {
            if let Err(error) = on_event(&shared, &delivery).await {
                tracing::debug!(%error, "a delivery was not settled; it will come again");
            }
        }
    })
    .await;
}

async fn on_event(shared: &Shared, delivery: &Delivery) -> Result<(), dcm_journal::bus::BusError> {
    // What refills a bus is history; the sweep at the start has seen to it.
    if delivery.replayed {
        return delivery.ack().await;
    }
    let received = Received::parse(&delivery.message.headers, &delivery.message.payload);
    let Ok(received) = received else { return delivery.term("not an event").await };
    let Some(entity) = received.stream.uuid() else { return delivery.term("not a subcloud's").await };
    let done = match received.decode::<SubcloudEvent>() {
        Ok(SubcloudEvent::SubcloudDeleted(deleted)) => forget(shared, entity, &deleted.name).await,
        Ok(SubcloudEvent::SubcloudRenamed(renamed)) => rename(shared, entity, &renamed).await,
        _ => return delivery.term("neither a deletion nor a rename").await,
    };
    match done {
        Ok(()) => delivery.ack().await,
        Err(error) => {
            if delivery.attempt == 1 {
                tracing::warn!(%entity, %error, "the files of a subcloud cannot follow it now");
            }
            delivery.nak(RETRY).await
        }
    }
}

/// Removes the secrets and files of a deleted subcloud (jobs.md §1.5).
async fn forget(shared: &Shared, entity: Uuid, name: &Name) -> Result<(), CleanupError> {
    shared.vault.delete_owner(entity).await?;
    if !is_anothers(shared, entity, name).await? {
        let dirs = &shared.settings.dirs;
        Paths::new(&dirs.ansible, name.as_ref()).remove_all(&dirs.logs).await?;
    }
    Ok(())
}

/// Lets the kept files of a subcloud follow its name.
async fn rename(shared: &Shared, entity: Uuid, renamed: &SubcloudRenamed) -> Result<(), CleanupError> {
    if !is_anothers(shared, entity, &renamed.from).await? {
        let dirs = &shared.settings.dirs;
        let to = Paths::new(&dirs.ansible, renamed.to.as_ref());
        Paths::new(&dirs.ansible, renamed.from.as_ref()).rename_all(&to, &dirs.logs).await?;
    }
    Ok(())
}

/// Whether the name belongs to another subcloud by now, whose files are under it then.
async fn is_anothers(shared: &Shared, entity: Uuid, name: &Name) -> Result<bool, CleanupError> {
    let holder = shared.fleet.resolve(&Reference::Name(name.clone())).await?;
    Ok(holder.is_some_and(|holder| holder != entity))
}

/// Sweeps at the start and from time to time until `stop`, and looks for directories once more then.
pub(super) async fn sweep_forever(shared: Arc<Shared>, models: Arc<ReadModels>, stop: CancellationToken) {
    let mut directories = Outage::of("sweep of directories that ended runs left");
    let mut leases = Outage::of("sweep of leases that ended runs left");
    let mut subclouds = Outage::of("sweep of what deleted subclouds left");
    for round in 0_u32.. {
        directories.note(&sweep_directories(&shared).await);
        if round % LESS_OFTEN == 0 {
            leases.note(&sweep_leases(&shared).await);
        }
        if round % SELDOM == 0 {
            subclouds.note(&sweep_subclouds(&shared, &models).await);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(OFTEN) => {}
        }
    }
    // What a killed predecessor left must not wait for a successor.
    if let Ok(looked) = tokio::time::timeout(LAST_LOOK, sweep_directories(&shared)).await {
        directories.note(&looked);
    }
}

/// Removes private directories of runs that nobody is at.
async fn sweep_directories(shared: &Shared) -> Result<(), CleanupError> {
    let mut left = directories(shared).await?;
    left.retain(|run_id| !shared.is_active(*run_id));
    if left.is_empty() {
        return Ok(());
    }
    // A lease is there before its directory is, so the directories are looked at first.
    let leases = shared.leases.list(RUN_LEASES).await?;
    let leases: HashMap<&str, &LeaseRecord> =
        leases.iter().map(|lease| (lease.name.as_str(), lease)).collect();
    let mut swept = Ok(());
    for run_id in left {
        let lease = leases.get(lease_name(run_id).as_str());
        // This worker may have taken it since.
        if shared.is_active(run_id) || lease.is_some_and(|lease| is_needed(shared, lease)) {
            continue;
        }
        match Private::of(&shared.settings.dirs.runs, run_id).remove().await {
            Ok(()) => tracing::info!(%run_id, "removed the directory of an ended run"),
            // What is in the others goes nevertheless.
            Err(error) => swept = Err(error.into()),
        }
    }
    swept
}

/// Removes leases that ran out, of runs that are over.
async fn sweep_leases(shared: &Shared) -> Result<(), CleanupError> {
    let open = shared.runs.open_runs(MOST_RUNS).await?;
    let open: HashSet<String> = open.iter().map(|run| lease_name(run.run_id)).collect();
    for record in shared.leases.list(RUN_LEASES).await? {
        let forgotten = record.expired_for().is_some_and(|expired| expired >= shared.settings.grace);
        if let (true, false, Some(holder)) = (forgotten, open.contains(&record.name), &record.holder) {
            let lease = Lease {
                name: record.name.clone(),
                holder: holder.id(),
                epoch: record.epoch,
                ttl: shared.settings.lease_ttl,
            };
            shared.leases.remove(&lease).await?;
        }
    }
    Ok(())
}

/// Whether a worker, or a playbook it left, may still use the run's directory.
fn is_needed(shared: &Shared, lease: &LeaseRecord) -> bool {
    let dead = lease.holder.as_ref().is_none_or(|holder| {
        holder.shares_boot_with(&shared.holder) && !process_alive(holder.pid, holder.start_time)
    });
    let details: Details = serde_json::from_value(lease.details.clone()).unwrap_or_default();
    (lease.is_held() && !dead) || details.process.is_some_and(|process| group_alive(&process))
}

async fn directories(shared: &Shared) -> io::Result<Vec<Uuid>> {
    let mut found = Vec::new();
    let mut entries = match tokio::fs::read_dir(&shared.settings.dirs.runs).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    while let Some(entry) = entries.next_entry().await? {
        found.extend(entry.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()));
    }
    Ok(found)
}

/// Removes secrets of deleted subclouds, secrets nobody refers to, and kept files of deleted subclouds.
async fn sweep_subclouds(shared: &Shared, models: &Arc<ReadModels>) -> Result<(), CleanupError> {
    let now = chrono::Utc::now().timestamp_micros();
    let mut owners = HashSet::new();
    let mut after = None;
    loop {
        let page = shared.vault.entries_older_than(Timestamp::from_micros(now), after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        owners.extend(page.into_iter().map(|(_, owner)| owner));
    }
    for owner in owners {
        let subcloud = shared.fleet.subcloud(owner).await?.state;
        if subcloud.is_some_and(|subcloud| subcloud.deleted) {
            shared.vault.delete_owner(owner).await?;
        }
    }
    let before = Timestamp::from_micros(now.saturating_sub(ORPHANED_AFTER));
    sweep(shared.vault.as_ref(), &Referred(&shared.fleet), before).await?;
    sweep_files(shared, models).await
}

async fn sweep_files(shared: &Shared, models: &Arc<ReadModels>) -> Result<(), CleanupError> {
    let mut entries = match tokio::fs::read_dir(&shared.settings.dirs.ansible).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    while let Some(entry) = entries.next_entry().await? {
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(|file| file.strip_suffix(INVENTORY)) else { continue };
        let Ok(name) = Name::parse(name) else { continue };
        if let Some(deleted) = models.subclouds().deleted_by_name(name.as_ref()).await? {
            forget(shared, deleted.uuid, &name).await?;
        }
    }
    Ok(())
}

/// Knows the entries that subclouds, system peers and the update strategy refer to.
struct Referred<'a>(&'a Fleet);

#[async_trait]
impl References for Referred<'_> {
    async fn refers(&self, entry: SecretRef, owner: Uuid) -> Result<bool, Box<dyn StdError + Send + Sync>> {
        let strategies = self.0.strategies().load().await?.state;
        let strategy = strategies.as_ref().and_then(|state| state.current.as_ref());
        if let Some(strategy) = strategy.filter(|strategy| strategy.uuid == owner) {
            return Ok(strategy.sysadmin_password == Some(entry));
        }
        let peer = self.0.collections().system_peers.load(owner).await?.state;
        if let Some(peer) = peer {
            return Ok(!peer.deleted && peer.manager_password == Some(entry));
        }
        let state = self.0.subcloud(owner).await?.state;
        Ok(state.is_some_and(|subcloud| !subcloud.deleted && refers(&subcloud, entry)))
    }
}

fn refers(subcloud: &Subcloud, entry: SecretRef) -> bool {
    subcloud.secrets().any(|referred| referred == entry)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use dcm_domain::system_peer::command::{DeleteSystemPeer, ImportSystemPeer};
    use dcm_domain::system_peer::{SystemPeerImported, name_key};
    use dcm_domain::value::Actor;
    use dcm_journal::collection::NewEntity;
    use dcm_journal::repository::Meta;

    use super::*;

    #[tokio::test]
    async fn a_peers_password_is_kept_as_long_as_the_peer() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dcm_journal::store::open("embedded:", dir.path()).await.unwrap();
        let fleet = Fleet::new(&journal).unwrap();
        let peers = &fleet.collections().system_peers;
        let (kept, unused) = (SecretRef(Uuid::now_v7()), SecretRef(Uuid::now_v7()));
        let meta = Meta::new(Actor::system("test"));
        let new = NewEntity::new([name_key("dc-2")].into());
        let owner = new.entity;
        let added = peers.add(new, &meta, |id| ImportSystemPeer { imported: peer(id, kept) });
        added.await.unwrap();
        let referred = Referred(&fleet);
        assert!(referred.refers(kept, owner).await.unwrap());
        assert!(!referred.refers(unused, owner).await.unwrap());
        peers.remove(owner, &DeleteSystemPeer, None, &meta.step("delete")).await.unwrap();
        assert!(!referred.refers(kept, owner).await.unwrap());
    }

    fn peer(id: i64, password: SecretRef) -> SystemPeerImported {
        SystemPeerImported {
            id,
            peer_uuid: "ac62f555-9386-42f1-b3a1-51ecb709409d".to_owned(),
            peer_name: "dc-2".to_owned(),
            manager_endpoint: "http://128.128.128.1:5000/v3".to_owned(),
            manager_username: "admin".to_owned(),
            manager_password: Some(password),
            peer_controller_gateway_address: "192.168.204.1".to_owned(),
            administrative_state: "enabled".to_owned(),
            heartbeat_interval: 60,
            heartbeat_failure_threshold: 3,
            heartbeat_failure_policy: "alarm".to_owned(),
            heartbeat_maintenance_timeout: 600,
            heartbeat_status: "alive".to_owned(),
            created_at: Timestamp::from_micros(0),
            updated_at: None,
        }
    }
}
