//! A read model that cannot take an event stops alone, says so, and goes on once it can.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dcm_domain::subcloud::command::ReportAvailability;
use dcm_domain::value::Availability;
use dcm_projections::{Event, Failure, ProjectError, Projection, ReadModels, Source, Table};
use dcm_schemas::registry::Unreadable;
use sqlx::{AnyConnection, AssertSqlSafe, Executor};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::site::{Site, database, meta};

/// Counts events, and cannot take the one of a certain order; 0 for none.
pub struct Picky {
    name: &'static str,
    refuses: AtomicU64,
    /// How often it was given that event.
    tried: AtomicU64,
    generation: i64,
}

impl Picky {
    pub fn new(name: &'static str) -> &'static Self {
        Self::of_generation(name, 1)
    }

    pub fn of_generation(name: &'static str, generation: i64) -> &'static Self {
        let (refuses, tried) = (AtomicU64::new(0), AtomicU64::new(0));
        Box::leak(Box::new(Self { name, refuses, tried, generation }))
    }

    pub fn refuse(&self, order: u64) {
        self.refuses.store(order, Ordering::SeqCst);
    }
}

#[async_trait]
impl Projection for Picky {
    fn name(&self) -> &'static str {
        self.name
    }

    fn generation(&self) -> i64 {
        self.generation
    }

    fn tables(&self) -> Vec<Table> {
        vec![Table::new(self.name, &["position"], "position bigint not null, twice bigint not null")]
    }

    fn source(&self) -> Source {
        Source::Together
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Event],
    ) -> Result<(), ProjectError> {
        for event in batch {
            let order = event.order();
            if order == self.refuses.load(Ordering::SeqCst) {
                self.tried.fetch_add(1, Ordering::SeqCst);
                let (name, version) = ("SubcloudMoved".to_owned(), 7);
                return Err(event.unreadable(Unreadable::Unknown { name, version }));
            }
            let text = format!("insert into {}_v{version} values ({order}, {})", self.name, 2 * order);
            connection.execute(AssertSqlSafe(text)).await?;
        }
        Ok(())
    }
}

/// What the database says of the read model `name`: where it is, and why it has stopped.
async fn status(models: &ReadModels, name: &str) -> (u64, Option<Failure>) {
    let status = models.status().await.unwrap().into_iter().find(|one| one.name == name).unwrap();
    let active = status.checkpoints.iter().find(|one| one.version == status.active_version).unwrap();
    (active.position, status.failure)
}

/// Asks until `wanted` is so.
pub async fn until<T>(mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(found) = asked().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come true");
}

async fn suite(url: &str) {
    let (well, picky) = (Picky::new("well"), Picky::new("picky"));
    let site = Site::open_with(url, Some(vec![well, picky])).await;
    let subcloud = site.add(1).await;
    let head = site.journal.head().await.unwrap();
    let bad = head / 2;
    picky.refuse(bad);

    let stop = CancellationToken::new();
    let projector = site.projector(1);
    let (running, ended) = (stop.clone(), tokio::sync::oneshot::channel());
    tokio::spawn(async move { ended.0.send(projector.run(&running, |_| {}).await.is_ok()) });
    let failure = until(async || status(&site.models, "picky").await.1).await;
    assert_eq!(
        (failure.position, failure.reason.as_str()),
        (bad, "event SubcloudMoved version 7 is not known to this program")
    );
    let event = site.journal.read_back(bad, 1).await.unwrap().pop().unwrap().envelope;
    assert_eq!((failure.event_id, failure.event_type), (Some(event.id.to_string()), Some(event.r#type)));
    assert_eq!(status(&site.models, "picky").await.0, bad - 1, "what stands before the event is applied");
    assert!(
        site.models.progress().wait(head, Duration::from_secs(30)).await,
        "nobody waits for what has stopped"
    );

    // The other one goes on, and the event is not tried again and again.
    let tried = picky.tried.load(Ordering::SeqCst);
    site.fleet.run(subcloud, &ReportAvailability { to: Availability::Online }, &meta()).await.unwrap();
    let head = site.journal.head().await.unwrap();
    until(async || (status(&site.models, "well").await == (head, None)).then_some(())).await;
    assert_eq!(picky.tried.load(Ordering::SeqCst), tried);
    stop.cancel();
    assert!(ended.1.await.unwrap());

    // The next projector tries again: first in vain, then the program is put right.
    let (stop, projector) = (CancellationToken::new(), site.projector(2));
    let running = stop.clone();
    let again = tokio::spawn(async move { projector.run(&running, |_| {}).await });
    until(async || (picky.tried.load(Ordering::SeqCst) > tried).then_some(())).await;
    picky.refuse(0);
    until(async || (status(&site.models, "picky").await == (head, None)).then_some(())).await;
    stop.cancel();
    again.await.unwrap().unwrap();

    // With none left it ends, and says so.
    for one in [well, picky] {
        one.refuse(head + 1);
    }
    site.fleet.run(subcloud, &ReportAvailability { to: Availability::Offline }, &meta()).await.unwrap();
    let ended = site.projector(3).run(&CancellationToken::new(), |_| {}).await;
    assert!(matches!(ended, Err(ProjectError::AllStopped)), "{ended:?}");
    assert!(status(&site.models, "well").await.1.is_some());
}

#[tokio::test]
async fn embedded() {
    suite("embedded:").await;
}

#[tokio::test]
async fn postgres() {
    let cluster = Cluster::shared();
    suite(&database(&cluster).await).await;
}

#[tokio::test]
async fn a_failure_that_passes_is_waited_for() {
    let site = Site::open("embedded:").await;
    site.add(1).await;
    let head = site.journal.head().await.unwrap();
    // Somebody else holds the one lock of the file for longer than a statement waits.
    let mut raw = site.raw().await;
    raw.execute("begin immediate").await.unwrap();
    let stop = CancellationToken::new();
    let (running, projector) = (stop.clone(), site.projector(1));
    let models = Arc::clone(&site.models);
    let following = tokio::spawn(async move { projector.run(&running, |_| {}).await });
    tokio::task::yield_now().await;
    raw.execute("rollback").await.unwrap();
    assert!(models.progress().wait(head, Duration::from_secs(60)).await);
    assert!(models.status().await.unwrap().iter().all(|one| one.failure.is_none()));
    stop.cancel();
    following.await.unwrap().unwrap();
}

/// Everything that this process logs, of all its tests.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// How often a read model was said to stop.
    fn stops(&self, name: &str) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let stops = text.lines().filter(|line| line.contains("the read model stops"));
        stops.filter(|line| line.contains(&format!("projection={name:?}"))).count()
    }
}

/// A role that failed is begun again and again, each time with a projector that tries everything anew.
#[tokio::test]
async fn what_stops_again_for_the_same_reason_is_told_once() {
    let lines = Lines::default();
    let writer = lines.clone();
    // For all threads: of one thread alone the others' tests would decide whether it is asked at all.
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let picky = Picky::new("told");
    let site = Site::open_with("embedded:", Some(vec![picky])).await;
    site.add(1).await;
    let bad = site.journal.head().await.unwrap();
    picky.refuse(bad);
    let stop = CancellationToken::new();
    for epoch in 1..=3 {
        let ended = site.projector(epoch).run(&stop, |_| {}).await;
        assert!(matches!(ended, Err(ProjectError::AllStopped)), "{ended:?}");
    }
    assert!(picky.tried.load(Ordering::SeqCst) > 10, "each of them tried it");
    assert_eq!(lines.stops("told"), 1);
    // Another event is news.
    picky.refuse(0);
    let mended = site.projector(4);
    while mended.step().await.unwrap().is_some() {}
    site.add(2).await;
    picky.refuse(site.journal.head().await.unwrap());
    assert!(site.projector(5).run(&stop, |_| {}).await.is_err());
    assert_eq!(lines.stops("told"), 2);
}
