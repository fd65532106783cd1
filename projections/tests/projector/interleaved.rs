//! Projectors that overtake each other, are killed at any moment and lose the journal, as many seeds say: the rows are the
//! fold of the journal in the end, and never go back before. `DCM_TEST_SEED` repeats one, `DCM_SIM_SEEDS` is how many.
#![allow(clippy::print_stdout, reason = "a seed that failed is repeated by what it printed")]

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use dcm_domain::subcloud::command::{ManageSubcloud, ReportAvailability, UnmanageSubcloud};
use dcm_domain::value::Availability;
use dcm_journal::store::{AppendError, Appended, Expected, Journal, ReadError, Traits};
use dcm_projections::{Extent, Projector};
use dcm_schemas::{Envelope, JournalId, Recorded, StreamId};
use tokio::sync::{Notify, watch};

use crate::site::{Site, meta};

/// A journal of which ever more is seen, and in whose reads something else may happen.
struct Revealed {
    whole: Arc<dyn Journal>,
    /// Order of the last event that is seen.
    until: AtomicU64,
    /// The next read fails.
    away: AtomicBool,
    /// Goes on while the next read is under way.
    meanwhile: Mutex<Option<Arc<Projector>>>,
}

#[async_trait]
impl Journal for Revealed {
    fn id(&self) -> JournalId {
        self.whole.id()
    }

    fn traits(&self) -> Traits {
        self.whole.traits()
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<Envelope>,
    ) -> Result<Appended, AppendError> {
        self.whole.append(stream, expected, events).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        self.whole.read_stream(stream, from, limit).await
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        if self.away.swap(false, Ordering::SeqCst) {
            return Err(ReadError::Unavailable("cut off".to_owned()));
        }
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(other) = meanwhile {
            while let Ok(Some(_)) = Box::pin(other.step()).await {}
        }
        let mut events = self.whole.read_all(after, limit).await?;
        events.retain(|event| event.position.order <= self.until.load(Ordering::SeqCst));
        Ok(events)
    }

    async fn read_back(&self, until: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        self.whole.read_back(until, limit).await
    }

    async fn count_after(&self, after: u64, limit: u64) -> Result<u64, ReadError> {
        self.whole.count_after(after, limit).await
    }

    async fn head(&self) -> Result<u64, ReadError> {
        Ok(self.whole.head().await?.min(self.until.load(Ordering::SeqCst)))
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.whole.appended()
    }
}

/// Numbers that follow from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// One step; after so many polls its projector is killed.
async fn step(projector: &Projector, polls: Option<u64>) {
    let mut step = pin!(projector.step());
    let mut polled = 0;
    let outcome = std::future::poll_fn(|context| {
        polled += 1;
        if polls.is_some_and(|polls| polled > polls) {
            return Poll::Ready(None);
        }
        step.as_mut().poll(context).map(Some)
    })
    .await;
    if let Some(Err(error)) = outcome {
        assert!(error.is_transient(), "{error}");
    }
}

async fn live(seed: u64) {
    let mut dice = Dice(seed);
    let site = Site::open("embedded:").await;
    for number in 1..=3 {
        let entity = site.add(number).await;
        site.fleet.run(entity, &ReportAvailability { to: Availability::Online }, &meta()).await.unwrap();
        let managed = ManageSubcloud { force: true, ..ManageSubcloud::default() };
        site.fleet.run(entity, &managed, &meta()).await.unwrap();
        site.fleet.run(entity, &UnmanageSubcloud::default(), &meta()).await.unwrap();
    }
    let head = site.journal.head().await.unwrap();
    let revealed = Arc::new(Revealed {
        whole: Arc::clone(&site.journal),
        until: AtomicU64::new(0),
        away: AtomicBool::new(false),
        meanwhile: Mutex::default(),
    });
    let begin = |epoch| {
        let journal: Arc<dyn Journal> = Arc::clone(&revealed) as _;
        Arc::new(Projector::new(Arc::clone(&site.models), journal, epoch, Arc::new(Notify::new())))
    };
    let mut epoch = 1;
    // Who holds the lease, and who held it before and does not know that it is over.
    let mut holders = vec![begin(epoch)];
    let mut before = 0;
    while revealed.until.load(Ordering::SeqCst) < head {
        revealed.until.fetch_add(1 + dice.below(4), Ordering::SeqCst);
        let any = usize::try_from(dice.below(holders.len() as u64)).unwrap();
        let (any, last) = (Arc::clone(&holders[any]), Arc::clone(holders.last().unwrap()));
        match dice.below(6) {
            0 => {
                epoch += 1;
                holders.push(begin(epoch));
            }
            1 => step(&last, Some(dice.below(40))).await,
            2 => {
                revealed.away.store(true, Ordering::SeqCst);
                step(&last, None).await;
            }
            3 => {
                *revealed.meanwhile.lock().unwrap() = Some(last);
                step(&any, None).await;
                revealed.meanwhile.lock().unwrap().take();
            }
            4 => step(&any, None).await,
            _ => step(&last, None).await,
        }
        let now = site.models.subclouds().position().await.unwrap().0;
        assert!(now >= before, "the rows went back from {before} to {now}");
        before = now;
    }
    let last = begin(epoch + 1);
    while last.step().await.unwrap().is_some() {}
    for found in site.models.verify(&site.journal, None, Extent::All, |_, _| {}).await.unwrap() {
        assert_eq!((found.differing, &found.not_compared), (0, &None), "{found:?}");
        assert_eq!(found.position, head, "{}", found.name);
    }
}

#[tokio::test]
async fn projectors_that_overtake_each_other_leave_the_fold_of_the_journal() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (first, count) = match number("DCM_TEST_SEED") {
        Some(seed) => (seed, 1),
        None => (u64::from(std::process::id()) << 20, number("DCM_SIM_SEEDS").unwrap_or(20)),
    };
    for seed in first..first + count {
        println!("DCM_TEST_SEED={seed}");
        live(seed).await;
    }
}
