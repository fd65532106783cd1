//! The projector and its queries, on SQLite and PostgreSQL: one suite for both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../../journal/tests/store/cluster.rs"]
mod cluster;
mod deadline;
mod faults;
mod fenced;
mod interleaved;
mod rebuilds;
mod shown;
mod site;
mod verify;

use std::time::Duration;

use dcm_domain::subcloud::command::{ChangeDeployStatus, ManageSubcloud};
use dcm_domain::subcloud::command::{ReportAvailability, ReportEndpoint, UnmanageSubcloud};
use dcm_domain::value::{Actor, Availability, Endpoint, ManagementState, SyncStatus};
use dcm_projections::{Fragments, HistoryFilter, Page, ProjectError, ReadModels};
use uuid::Uuid;

use rebuilds::rebuild;
use site::{Site, database, meta};

async fn suite(site: Site) {
    let first = site.add(1).await;
    let second = site.add(2).await;
    site.project().await;
    let subclouds = site.models.subclouds();
    let row = subclouds.by_name("subcloud1").await.unwrap().unwrap();
    assert_eq!((row.uuid, row.subcloud.id, row.updated_at), (first, 1, None));
    assert_eq!(row.sync_status(), SyncStatus::Unknown);
    assert_eq!(subclouds.by_region("region2").await.unwrap().unwrap().uuid, second);
    assert_eq!(subclouds.open_runs(10).await.unwrap().len(), 2);
    assert_eq!(site.models.groups().by_name("Default").await.unwrap().unwrap().id, 1);

    let fragments =
        Fragments::new(subclouds.clone(), b"[", b"]", |row| row.subcloud.name.to_string().into_bytes());
    assert_eq!(fragments.list(None).await.unwrap().body, "[subcloud1,subcloud2]");

    let online = ReportAvailability { to: Availability::Online };
    site.fleet.run(first, &online, &meta()).await.unwrap();
    let managed = ManageSubcloud { force: true, ..ManageSubcloud::default() };
    site.fleet.run(first, &managed, &meta()).await.unwrap();
    let report = ReportEndpoint { endpoint: Endpoint::DcCert, status: SyncStatus::InSync, seen: None };
    site.fleet.run(first, &report, &meta()).await.unwrap();
    site.project().await;
    let row = subclouds.by_id(1).await.unwrap().unwrap();
    assert_eq!(row.subcloud.management, ManagementState::Managed);
    assert_eq!(row.sync_status(), SyncStatus::OutOfSync);
    let loaded = site.fleet.subcloud(first).await.unwrap();
    assert_eq!(loaded.state.as_deref(), Some(&row.subcloud), "the row is the fold of the stream");
    let managed_at = row.updated_at;
    site.fleet
        .run(first, &ReportEndpoint { status: SyncStatus::OutOfSync, ..report }, &meta())
        .await
        .unwrap();
    site.project().await;
    assert_eq!(
        subclouds.by_id(1).await.unwrap().unwrap().updated_at,
        managed_at,
        "an endpoint is not the row"
    );

    let unmanage = UnmanageSubcloud::default();
    site.fleet.run(first, &unmanage, &meta()).await.unwrap();
    site.fleet.run(first, &ChangeDeployStatus::mark_secondary(), &meta()).await.unwrap_err();

    let filter =
        HistoryFilter { event_type: Some("SubcloudManaged".to_owned()), limit: 10, ..Default::default() };
    site.project().await;
    let history = site.models.history().of(first, &filter).await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history.first().unwrap().envelope.actor, Actor::system("test"));
    let all = HistoryFilter { limit: 1000, ..HistoryFilter::default() };
    let revisions: Vec<u64> = site
        .models
        .history()
        .of(first, &all)
        .await
        .unwrap()
        .iter()
        .map(|entry| entry.envelope.revision)
        .collect();
    assert_eq!(revisions, (0..=loaded.revision.unwrap() + 2).collect::<Vec<_>>());

    rebuilt_is_the_same(&site).await;
    deleted_is_gone(&site, second, &fragments).await;
    a_stale_projector_is_fenced(&site).await;
}

async fn rebuilt_is_the_same(site: &Site) {
    let before = site.models.subclouds().all().await.unwrap();
    for name in ["subclouds", "groups", "history"] {
        let rebuilt = rebuild(site, name).await.unwrap();
        assert_eq!((rebuilt.previous_version, rebuilt.version, rebuilt.differing), (1, 2, Some(0)), "{name}");
    }
    assert_eq!(site.models.subclouds().all().await.unwrap(), before);
    site.add(4).await;
    site.project().await;
    let further = site.models.subclouds().all().await.unwrap();
    assert_eq!(further.len(), before.len() + 1);
    for version in [1, 2] {
        assert_eq!(site.models.roll_back(&site.journal, "subclouds").await.unwrap(), version);
        assert_eq!(site.models.subclouds().all().await.unwrap(), further, "a rollback is not back in time");
    }
    rebuild(site, "nothing").await.unwrap_err();
    site.add(3).await;
    site.project().await;
    assert_eq!(site.models.subclouds().all().await.unwrap().len(), 4);
}

async fn deleted_is_gone(site: &Site, uuid: Uuid, fragments: &Fragments) {
    let run = site.fleet.subcloud(uuid).await.unwrap().state.unwrap().run.clone().unwrap();
    let lost = dcm_domain::subcloud::command::LoseRun {
        run_id: run.id,
        because: dcm_domain::subcloud::command::LostBecause::NoWorker,
    };
    site.fleet.run(uuid, &lost, &meta()).await.unwrap();
    site.fleet.delete(uuid, &meta()).await.unwrap();
    site.project().await;
    let subclouds = site.models.subclouds();
    assert_eq!(subclouds.by_name("subcloud2").await.unwrap(), None);
    assert_eq!(subclouds.deleted_by_name("subcloud2").await.unwrap().unwrap().uuid, uuid);
    assert_eq!(fragments.list(None).await.unwrap().body, "[subcloud1,subcloud4,subcloud3]");
    let page = async |after, limit| {
        let page = fragments.list(Some(Page { after, limit })).await.unwrap();
        (String::from_utf8(page.body.to_vec()).unwrap(), page.next)
    };
    let (first, next) = page(0, 2).await;
    assert_eq!(first, "[subcloud1,subcloud4]");
    assert_eq!(page(next.unwrap(), 2).await, ("[subcloud3]".to_owned(), None));
    assert_eq!(page(0, 3).await.1, None);
    assert_eq!(page(99, 1).await, ("[]".to_owned(), None));
    // The name is free again at once.
    site.add(2).await;
}

async fn a_stale_projector_is_fenced(site: &Site) {
    let newer = site.projector(5);
    while newer.step().await.unwrap().is_some() {}
    site.add(9).await;
    assert!(matches!(site.projector(4).step().await, Err(ProjectError::Fenced)));
    assert!(newer.step().await.unwrap().is_some());
}

#[tokio::test]
async fn embedded() {
    suite(Site::open("embedded:").await).await;
}

#[tokio::test]
async fn postgres() {
    let cluster = cluster::Cluster::shared();
    suite(Site::open(&database(&cluster).await).await).await;
}

#[tokio::test]
async fn waiting_needs_no_signal() {
    let site = Site::open("embedded:").await;
    site.add(1).await;
    let head = site.journal.head().await.unwrap();
    assert!(!site.models.progress().wait(head, Duration::from_millis(30)).await);
    let other = ReadModels::open("embedded:", site.dir.path(), site.journal.id()).await.unwrap();
    site.project().await;
    assert!(other.progress().wait(head, Duration::from_secs(5)).await, "found by asking the database");
}
