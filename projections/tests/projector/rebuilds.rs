//! Rebuilding beside what is read: compared before it is swapped, cancelled, abandoned, refused, and at a bounded pace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dcm_domain::subcloud::command::ReportAvailability;
use dcm_domain::value::Availability;
use dcm_projections::{
    Extent, Outdated, Phase, ProjectError, RebuildError, RebuildOptions, RebuildStatus, Rebuilt,
};
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::faults::{Picky, until};
use crate::site::{Site, database, meta};

pub async fn rebuild(site: &Site, name: &str) -> Result<Rebuilt, RebuildError> {
    site.models.rebuild(&site.journal, name, RebuildOptions::default(), &CancellationToken::new()).await
}

async fn status(site: &Site, name: &str) -> (i64, RebuildStatus) {
    let status = site.models.status().await.unwrap().into_iter().find(|one| one.name == name).unwrap();
    (status.active_version, status.rebuild.unwrap())
}

/// The names of the tables that begin with `prefix`.
async fn tables(site: &Site, prefix: &str) -> Vec<String> {
    let mut raw = site.raw().await;
    let text = match site.is_embedded() {
        true => "select name from sqlite_master where type = 'table' order by name",
        false => "select tablename::text from pg_tables where schemaname = 'public' order by 1",
    };
    let rows = raw.fetch_all(text).await.unwrap();
    let names = rows.iter().map(|row| row.get::<String, _>(0));
    names.filter(|name| name.starts_with(prefix)).collect()
}

async fn compared_and_refused(url: &str) {
    let site = Site::open(url).await;
    let first = site.add(1).await;
    site.add(2).await;
    site.project().await;
    let rebuilt = rebuild(&site, "subclouds").await.unwrap();
    let head = site.journal.head().await.unwrap();
    assert_eq!((rebuilt.version, rebuilt.differing, rebuilt.events), (2, Some(0), head));

    let mut raw = site.raw().await;
    for version in [1, 2] {
        let former = format!("create table subcloud_endpoint_v{version} (id bigint)");
        raw.execute(AssertSqlSafe(former)).await.unwrap();
    }
    let change = format!("update subcloud_v2 set deploy_status = 'Berlin' where uuid = '{first}'");
    raw.execute(AssertSqlSafe(change)).await.unwrap();
    let refused = rebuild(&site, "subclouds").await;
    assert!(matches!(refused, Err(RebuildError::Differs(1))), "{refused:?}");
    let (active, last) = status(&site, "subclouds").await;
    assert_eq!((active, last.version, last.phase, last.differing), (2, 3, Phase::Refused, Some(1)));
    assert_eq!(last.differences[0].columns, ["deploy_status"]);
    assert_eq!(tables(&site, "subcloud_v").await, ["subcloud_v1", "subcloud_v2"], "nothing is left of it");
    // What there was to go back to is still there, and takes in what came since.
    let before = site.journal.head().await.unwrap();
    site.add(3).await;
    site.project().await;
    assert_eq!(site.models.roll_back(&site.journal, "subclouds").await.unwrap(), 1);
    let since = site.journal.head().await.unwrap() - before;
    let (_, last) = status(&site, "subclouds").await;
    assert_eq!((last.events_done, last.events_total), (since, Some(since)));
    assert_eq!(site.models.roll_back(&site.journal, "subclouds").await.unwrap(), 2);

    let options = RebuildOptions { accept_differences: true, ..RebuildOptions::default() };
    let stop = CancellationToken::new();
    let rebuilt = site.models.rebuild(&site.journal, "subclouds", options, &stop).await.unwrap();
    assert_eq!((rebuilt.version, rebuilt.previous_version, rebuilt.differing), (4, 2, Some(1)));
    assert_eq!(tables(&site, "subcloud_v").await, ["subcloud_v2", "subcloud_v4"], "two are enough");
    assert_eq!(
        tables(&site, "subcloud_endpoint_v").await,
        ["subcloud_endpoint_v2"],
        "of earlier programs, too"
    );
    let verified =
        site.models.verify(&site.journal, Some("subclouds"), Extent::All, |_, _| ()).await.unwrap();
    assert_eq!(verified[0].differing, 0);
    site.fleet.run(first, &ReportAvailability { to: Availability::Online }, &meta()).await.unwrap();
    site.project().await;
    assert_eq!(
        site.models.subclouds().by_id(1).await.unwrap().unwrap().subcloud.availability,
        Availability::Online
    );
}

/// However quick the machine is, a bound is kept to.
async fn bounded(url: &str) {
    let site = Site::open(url).await;
    site.add(1).await;
    site.project().await;
    let events = site.journal.head().await.unwrap();
    let options = RebuildOptions { events_per_second: 2 * events, ..RebuildOptions::default() };
    let begun = Instant::now();
    let rebuilt = site.models.rebuild(&site.journal, "history", options, &CancellationToken::new()).await;
    assert_eq!(rebuilt.unwrap().events, events);
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
}

async fn cancelled_and_abandoned(url: &str) {
    let site = Site::open(url).await;
    site.add(1).await;
    site.project().await;
    // One event a second: it rests until it is cancelled.
    let slow = RebuildOptions { events_per_second: 1, ..RebuildOptions::default() };
    let begun = site.models.begin_rebuild(&site.journal, "history", slow).await.unwrap();
    assert_eq!(begun.version(), 2);
    let running = tokio::spawn(async move { begun.run(&CancellationToken::new()).await });
    until(async || (status(&site, "history").await.1.events_done > 0).then_some(())).await;
    assert_eq!(status(&site, "history").await.1.phase, Phase::Filling);
    assert!(matches!(rebuild(&site, "history").await, Err(RebuildError::Busy(_))));
    assert!(matches!(site.models.roll_back(&site.journal, "history").await, Err(RebuildError::Busy(_))));
    site.models.cancel_rebuild("history").await.unwrap();
    let ended = running.await.unwrap();
    assert!(matches!(ended, Err(RebuildError::Cancelled)), "{ended:?}");
    assert_eq!(status(&site, "history").await.1.phase, Phase::Cancelled);
    assert_eq!(tables(&site, "subcloud_history").await, ["subcloud_history_v1"]);
    assert!(matches!(site.models.cancel_rebuild("history").await, Err(RebuildError::NotBusy(_))));

    // A process that ends in the middle of it.
    let begun = site.models.begin_rebuild(&site.journal, "history", slow).await.unwrap();
    let running = tokio::spawn(async move { begun.run(&CancellationToken::new()).await });
    until(async || (status(&site, "history").await.1.events_done > 0).then_some(())).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let mut raw = site.raw().await;
    raw.execute("update projection_rebuild set expires_at = 1").await.unwrap();
    assert_eq!(status(&site, "history").await.1.phase, Phase::Abandoned);
    assert_eq!(tables(&site, "subcloud_history").await, ["subcloud_history_v1", "subcloud_history_v3"]);
    assert_eq!(rebuild(&site, "history").await.unwrap().version, 4, "no version is used twice");
    assert_eq!(tables(&site, "subcloud_history").await, ["subcloud_history_v1", "subcloud_history_v4"]);
}

async fn an_event_ends_it(url: &str) {
    let picky = Picky::new("picky");
    let site = Site::open_with(url, Some(vec![picky])).await;
    site.add(1).await;
    site.project().await;
    let bad = site.journal.head().await.unwrap() / 2;
    picky.refuse(bad);
    let failed = rebuild(&site, "picky").await;
    assert!(matches!(failed, Err(RebuildError::Event { position, .. }) if position == bad), "{failed:?}");
    let (active, last) = status(&site, "picky").await;
    assert_eq!((active, last.phase), (1, Phase::Failed));
    assert!(last.reason.as_ref().unwrap().contains(&format!(" at {bad}: ")), "{last:?}");

    // The one that is read has stopped at an event; a version that can take it takes over and goes on.
    let subcloud = site.add(2).await;
    let bad = site.journal.head().await.unwrap();
    picky.refuse(bad);
    let ended = site.projector(2).run(&CancellationToken::new(), |_| {}).await;
    assert!(matches!(ended, Err(ProjectError::AllStopped)), "{ended:?}");
    picky.refuse(0);
    site.fleet.run(subcloud, &ReportAvailability { to: Availability::Online }, &meta()).await.unwrap();
    let rebuilt = rebuild(&site, "picky").await.unwrap();
    assert_eq!((rebuilt.position, rebuilt.differing), (site.journal.head().await.unwrap(), Some(0)));
    assert_eq!(site.models.status().await.unwrap()[0].failure, None);
}

/// A new program beside an old one: its tables are filled beside the old ones, and neither touches the other's.
async fn upgraded(url: &str) {
    let site = Site::open_with(url, Some(vec![Picky::new("picky")])).await;
    let subcloud = site.add(1).await;
    site.project().await;
    let new = site.another(vec![Picky::of_generation("picky", 2)]).await;
    let outdated = new.outdated().await.unwrap();
    assert_eq!(outdated, [Outdated { name: "picky", serves: false }]);
    assert!(site.models.outdated().await.unwrap().is_empty());
    let newer = site.projector_of(&new, 2);
    site.fleet.run(subcloud, &ReportAvailability { to: Availability::Online }, &meta()).await.unwrap();
    assert_eq!(newer.step().await.unwrap(), None, "the old tables are none of its");
    new.renew(&site.journal, RebuildOptions::default(), &CancellationToken::new()).await;
    assert!(new.outdated().await.unwrap().is_empty());
    let (active, last) = status(&site, "picky").await;
    assert_eq!((active, last.phase, last.differing), (2, Phase::Done, None));
    let verified = new.verify(&site.journal, None, Extent::All, |_, _| ()).await.unwrap();
    assert_eq!((verified[0].differing, verified[0].position), (0, site.journal.head().await.unwrap()));
    site.fleet.run(subcloud, &ReportAvailability { to: Availability::Offline }, &meta()).await.unwrap();
    assert_eq!(site.projector(2).step().await.unwrap(), None, "the new tables are none of the old program's");
    assert!(newer.step().await.unwrap().is_some());
}

/// What is away until it is filled anew goes before what serves meanwhile.
async fn away_first(url: &str) {
    let site = Site::open(url).await;
    let mut raw = site.raw().await;
    // As every read model of a program without this table.
    raw.execute("delete from projection_generation").await.unwrap();
    let outdated = site.models.outdated().await.unwrap();
    let order = [("subclouds", false), ("history", true)];
    assert_eq!(outdated, order.map(|(name, serves)| Outdated { name, serves }));
}

/// While what answers are made of waits to be filled anew, nobody is told that it shows what others show already.
async fn held(url: &str) {
    let site = Site::open_with(url, Some(vec![Picky::new("subclouds"), Picky::new("well")])).await;
    let subcloud = site.add(1).await;
    site.project().await;
    let shown = site.journal.head().await.unwrap();
    let new = site.another(vec![Picky::of_generation("subclouds", 2), Picky::new("well")]).await;
    site.fleet.run(subcloud, &ReportAvailability { to: Availability::Online }, &meta()).await.unwrap();
    assert_eq!(site.projector_of(&new, 2).step().await.unwrap(), Some(shown));
    new.renew(&site.journal, RebuildOptions::default(), &CancellationToken::new()).await;
    site.fleet.run(subcloud, &ReportAvailability { to: Availability::Offline }, &meta()).await.unwrap();
    let head = site.journal.head().await.unwrap();
    let newer = site.projector_of(&new, 2);
    let mut reached = None;
    while let Some(order) = newer.step().await.unwrap() {
        reached = Some(order);
    }
    assert_eq!(reached, Some(head));
}

/// The live version goes on while another is filled, compared and swapped.
async fn under_way(url: &str) {
    let site = Arc::new(Site::open(url).await);
    let subcloud = site.add(1).await;
    site.project().await;
    let stop = CancellationToken::new();
    let (running, projector) = (stop.clone(), site.projector(1));
    let following = tokio::spawn(async move { projector.run(&running, |_| {}).await });
    let (writing, writer) = (stop.clone(), Arc::clone(&site));
    let commands = tokio::spawn(async move {
        let mut count = 0;
        while !writing.is_cancelled() {
            let to = if count % 2 == 0 { Availability::Online } else { Availability::Offline };
            writer.fleet.run(subcloud, &ReportAvailability { to }, &meta()).await.unwrap();
            count += 1;
        }
    });
    for name in ["subclouds", "history", "subclouds"] {
        let rebuilt = rebuild(&site, name).await.unwrap();
        assert_eq!(rebuilt.differing, Some(0), "{rebuilt:?}");
    }
    stop.cancel();
    commands.await.unwrap();
    following.await.unwrap().unwrap();
    let again = site.projector(2);
    while again.step().await.unwrap().is_some() {}
    for found in site.models.verify(&site.journal, None, Extent::All, |_, _| ()).await.unwrap() {
        assert_eq!(found.differing, 0, "{found:?}");
    }
}

#[tokio::test]
async fn embedded() {
    compared_and_refused("embedded:").await;
    cancelled_and_abandoned("embedded:").await;
    an_event_ends_it("embedded:").await;
    upgraded("embedded:").await;
    bounded("embedded:").await;
    away_first("embedded:").await;
    held("embedded:").await;
    under_way("embedded:").await;
}

#[tokio::test]
async fn postgres() {
    let cluster = Cluster::shared();
    compared_and_refused(&database(&cluster).await).await;
    cancelled_and_abandoned(&database(&cluster).await).await;
    an_event_ends_it(&database(&cluster).await).await;
    upgraded(&database(&cluster).await).await;
    bounded(&database(&cluster).await).await;
    away_first(&database(&cluster).await).await;
    held(&database(&cluster).await).await;
    under_way(&database(&cluster).await).await;
}
