//! The projector: follows the journal and keeps every active read model up to date.
//!
//! It is rung up by appends in this process and by signals of others, and looks by itself now and then: whoever rings,
//! what it applies comes from the journal, in order, so that a dead or lossy bus costs time and nothing else.
//!
//! Read models that are equally far go on together, in one statement or transaction, so that they show the same moment.
//! One that lags catches up alone. One that cannot take an event is tried alone, in ever smaller portions, and stops in
//! front of the event after a few attempts; the others go on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dcm_journal::store::Journal;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch::{self, Event};
use crate::failure::Failure;
use crate::place::Place;
use crate::port::{NotApplied, ReadModelStore};
use crate::progress::counts;
use crate::projection::ProjectError;
use crate::store::ReadModels;

/// How often the journal is looked at when nobody rings.
const LOOK: Duration = Duration::from_millis(50);
/// Events of one transaction.
const BATCH: usize = 500;
/// Events of one transaction of a read model that catches up: it must be quicker than those in front of it.
const CATCHING_UP: usize = 2000;
/// How long one step may take; its single statements are far quicker.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(250);
/// How often an event is tried on a read model that cannot take it, with [`PAUSE`]s between.
const ATTEMPTS: u32 = 5;

/// Follows one journal into one set of read models, under one epoch of the projector's lease.
pub struct Projector<S: ReadModelStore = ReadModels> {
    store: Arc<S>,
    journal: Arc<dyn Journal>,
    epoch: i64,
    bell: Arc<Notify>,
    /// Until when the lease is this process's.
    lease: Option<watch::Receiver<Instant>>,
    troubled: Mutex<HashMap<(&'static str, i64), Trouble>>,
    /// The versions that were read when that was last asked.
    read: Mutex<Vec<(&'static str, i64)>>,
}

/// Whether nobody else writes what is read. Ends with whoever projects.
struct Alone<'a, S: ReadModelStore> {
    store: &'a S,
    is_so: bool,
}

impl<'a, S: ReadModelStore> Alone<'a, S> {
    const fn not_yet(store: &'a S) -> Self {
        Self { store, is_so: false }
    }
}

impl<S: ReadModelStore> Drop for Alone<'_, S> {
    fn drop(&mut self) {
        self.store.not_alone();
    }
}

/// Where the read models are, and what the store keeps of them, as the last step left them. A step that fails leaves
/// nothing: then the store is asked.
#[derive(Default)]
struct Known<K> {
    places: Vec<Place>,
    kept: K,
    /// How far what counts is that is not among the places.
    held: Option<u64>,
}

/// What one step did.
struct Step {
    /// The order that what counts has reached, if something moved.
    reached: Option<u64>,
    /// Whether there may be more at once.
    more: bool,
}

/// A version of a read model that could not take an event.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// How many events it is given at once.
    portion: usize,
    /// How often a single event was refused.
    attempts: u32,
    /// When it is tried next; `None` once it has stopped.
    next: Option<Instant>,
}

impl Projector {
    /// A projector that writes under `epoch` and looks at the journal whenever `bell` is rung.
    pub fn new(models: Arc<ReadModels>, journal: Arc<dyn Journal>, epoch: i64, bell: Arc<Notify>) -> Self {
        Self::over(models, journal, epoch, bell)
    }
}

impl<S: ReadModelStore> Projector<S> {
    /// As [`new`](Projector::new), over any store of read models.
    pub fn over(store: Arc<S>, journal: Arc<dyn Journal>, epoch: i64, bell: Arc<Notify>) -> Self {
        let (troubled, read) = (Mutex::default(), Mutex::default());
        Self { store, journal, epoch, bell, lease: None, troubled, read }
    }

    /// The same under a lease that is this process's until the moment that `lease` shows: so long, what is read need not be
    /// asked for again while nothing is projected.
    #[must_use]
    pub fn under(self, lease: watch::Receiver<Instant>) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// Runs until `stop`, calling `progressed` with each order that it has committed. A read model that cannot take an
    /// event stops alone; a new projector tries it again.
    ///
    /// # Errors
    /// [`ProjectError::AllStopped`] once no read model goes on.
    pub async fn run(
        &self,
        stop: &CancellationToken,
        progressed: impl Fn(u64) + Send + Sync,
    ) -> Result<(), ProjectError> {
        let mut appended = self.journal.appended();
        let mut failing = false;
        let mut known = Known::default();
        let mut alone = Alone::not_yet(self.store.as_ref());
        while !stop.is_cancelled() {
            // Register for the bell before looking, so that no ring is missed.
            let rung = self.bell.notified();
            appended.mark_unchanged();
            // A database that does not even refuse must not keep this task, nor the lease, for ever.
            let until = self.lease.as_ref().map(|lease| *lease.borrow());
            if let Some(until) = until
                && let Err(error) = self.stay_alone(&mut alone, until).await
            {
                tracing::debug!(%error, "whoever projected before is not fenced off yet");
            }
            let remembered = !known.places.is_empty();
            let step = tokio::time::timeout(PATIENCE, self.go_on(&mut known)).await;
            match step.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into())) {
                Ok(step) => {
                    if failing {
                        tracing::info!("the projector works again");
                        failing = false;
                    }
                    if let Some(order) = step.reached {
                        self.store.reached(order);
                        progressed(order);
                    }
                    if step.more {
                        continue;
                    }
                }
                // Another version was made the one that is read since the database was last asked which is.
                Err(ProjectError::Fenced) if remembered => continue,
                Err(error) if error.is_transient() => {
                    if !failing {
                        tracing::warn!(%error, "the projector cannot go on; it keeps trying");
                        failing = true;
                    }
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(PAUSE) => continue,
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = rung => {}
                changed = appended.changed() => if changed.is_err() { tokio::time::sleep(LOOK).await },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    /// Says until when nobody else writes what is read, once nobody else can: whoever was in the middle of a commit has
    /// ended it, and every later one is refused.
    async fn stay_alone(&self, alone: &mut Alone<'_, S>, until: Instant) -> Result<(), sqlx::Error> {
        if !alone.is_so {
            alone.is_so = self.store.fence(self.epoch).await?;
            self.store.renewed();
        }
        if alone.is_so {
            self.store.alone_until(until);
        }
        Ok(())
    }

    /// Applies the next batch to every active read model that has not stopped; the order that what counts has reached, or
    /// `None` if nothing moved.
    ///
    /// # Errors
    /// A [`ProjectError`] that is of no single read model, or [`ProjectError::AllStopped`].
    pub async fn step(&self) -> Result<Option<u64>, ProjectError> {
        Ok(self.go_on(&mut Known::default()).await?.reached)
    }

    /// As [`step`](Self::step), from where `known` says, or from where the store says if it knows nothing.
    async fn go_on(&self, known: &mut Known<S::Kept>) -> Result<Step, ProjectError> {
        let Known { mut places, mut kept, mut held } = std::mem::take(known);
        if places.is_empty() {
            (places, held) = self.places().await?;
        }
        let mut step = self.go_on_together(&mut places, &mut kept).await?;
        let mut moved = step.reached.is_some();
        let front = self.front(&places);
        for place in &mut places {
            if self.is_alone(place, front) {
                let went_on = self.go_on_alone(place, front).await?;
                (moved, step.more) = (moved | went_on, step.more | went_on);
            }
        }
        let stopped = |place: &Place| self.trouble(place).is_some_and(|trouble| trouble.next.is_none());
        if !places.is_empty() && places.iter().all(stopped) {
            return Err(ProjectError::AllStopped);
        }
        let counting = places.iter().filter(|place| counts(place.projection.name(), stopped(place)));
        step.reached = counting.map(|place| place.position).chain(held).min().filter(|_| moved);
        // An idle look asks the store anew, and so does every one while something is wrong, or waits to be filled anew.
        if moved && held.is_none() && self.troubles().is_empty() {
            *known = Known { places, kept, held };
        }
        Ok(step)
    }

    /// Where the active read models are. Those that were stopped by another projector, or before a restart, are tried again,
    /// each alone. And where one is that counts, though this program cannot fold into its tables: nothing behind that is shown.
    async fn places(&self) -> Result<(Vec<Place>, Option<u64>), ProjectError> {
        let places = self.store.places().await?;
        self.note_versions(places.iter().map(Place::key).collect());
        // Into tables of another shape nothing can be folded: their own program does, or they are filled anew.
        let (places, foreign): (Vec<Place>, Vec<Place>) =
            places.into_iter().partition(|place| place.projection.knows(place.generation));
        let held = foreign.iter().filter(|place| counts(place.projection.name(), true));
        let held = held.map(|place| place.position).min();
        let journal = self.store.journal().to_string();
        for place in &places {
            if place.has_failed {
                let again = Trouble { portion: 1, attempts: 0, next: Some(Instant::now()) };
                self.troubles().entry(place.key()).or_insert(again);
            }
            if place.journal != journal {
                self.stop_as_foreign(place).await?;
            }
        }
        Ok((places, held))
    }

    /// If other versions are read than before, another process may have made them so.
    fn note_versions(&self, versions: Vec<(&'static str, i64)>) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *read != versions {
            self.store.renewed();
            *read = versions;
        }
    }

    /// Where the read models that are well are, the furthest of them.
    fn front(&self, places: &[Place]) -> Option<u64> {
        let well = places.iter().filter(|place| self.trouble(place).is_none());
        well.map(|place| place.position).max()
    }

    fn is_alone(&self, place: &Place, front: Option<u64>) -> bool {
        match self.trouble(place) {
            Some(trouble) => trouble.next.is_some_and(|next| next <= Instant::now()),
            None => Some(place.position) < front,
        }
    }

    /// Takes all that are equally far one batch further. One that cannot take it is left to be tried alone.
    async fn go_on_together(&self, places: &mut [Place], kept: &mut S::Kept) -> Result<Step, ProjectError> {
        const STILL: Step = Step { reached: None, more: false };
        while let Some(front) = self.front(places) {
            let batch = match self.journal.recent(front, BATCH) {
                Some(recent) => recent.into_iter().map(Event::from).collect(),
                None => batch::events(self.journal.read_all(front, BATCH).await?),
            };
            let at_front = |place: &Place| place.position == front && self.trouble(place).is_none();
            let Some(last) = batch.last() else {
                if self.journal.head().await? < front {
                    for place in places.iter().filter(|place| at_front(place)) {
                        self.stop_as_foreign(place).await?;
                    }
                    continue;
                }
                return Ok(STILL);
            };
            let together: Vec<&Place> = places.iter().filter(|place| at_front(place)).collect();
            // What was kept is gone with a batch that is not applied.
            match self.apply(&together, &batch, std::mem::take(kept)).await {
                Ok(next) => {
                    *kept = next;
                    for place in places.iter_mut().filter(|place| at_front(place)) {
                        place.position = last.order();
                        place.has_failed = false;
                    }
                    return Ok(Step { reached: Some(last.order()), more: batch.len() == BATCH });
                }
                Err(NotApplied { due_to: Some((name, version)), error }) if !error.is_transient() => {
                    tracing::warn!(projection = name, %error, "refused; it is tried alone");
                    let alone = Trouble { portion: BATCH / 2, attempts: 0, next: Some(Instant::now()) };
                    self.troubles().insert((name, version), alone);
                }
                Err(NotApplied { error, .. }) => return Err(error),
            }
        }
        Ok(STILL)
    }

    /// Takes one read model further by itself, at most up to the others.
    async fn go_on_alone(&self, place: &mut Place, front: Option<u64>) -> Result<bool, ProjectError> {
        let trouble = self.trouble(place);
        let portion = trouble.map_or(CATCHING_UP, |trouble| trouble.portion);
        let mut batch = batch::events(self.journal.read_all(place.position, portion).await?);
        batch.retain(|event| front.is_none_or(|front| event.order() <= front));
        let Some(last) = batch.last() else {
            self.troubles().remove(&place.key());
            return Ok(false);
        };
        // What is kept is of those that go on together.
        let applied = self.apply(&[&*place], &batch, S::Kept::default()).await.map(drop);
        match applied.map_err(|refused| refused.error) {
            Ok(()) => {
                place.position = last.order();
                place.has_failed = false;
                let caught_up = front.is_some_and(|front| place.position >= front);
                let mut troubles = self.troubles();
                match troubles.get_mut(&place.key()) {
                    Some(_) if caught_up => drop(troubles.remove(&place.key())),
                    Some(trouble) => {
                        trouble.portion = (trouble.portion * 2).min(CATCHING_UP);
                        trouble.attempts = 0;
                    }
                    None => {}
                }
                Ok(true)
            }
            Err(error) if !error.is_transient() => self.refused(place, &batch, &error).await,
            Err(error) => Err(error),
        }
    }

    /// A portion was refused: a smaller one is tried at once, a single event after a pause, until it is given up.
    async fn refused(
        &self,
        place: &Place,
        batch: &[Event],
        error: &ProjectError,
    ) -> Result<bool, ProjectError> {
        let name = place.projection.name();
        metrics::counter!("dcm_projection_failures_total", "read_model" => name).increment(1);
        let mut trouble =
            self.trouble(place).unwrap_or(Trouble { portion: batch.len(), attempts: 0, next: None });
        match batch {
            [event] => {
                trouble.attempts += 1;
                trouble.next = Some(Instant::now() + PAUSE);
                if trouble.attempts >= ATTEMPTS {
                    trouble.next = None;
                    let failure = Failure::at(event, error);
                    self.store.stop(place, self.epoch, &failure).await?;
                    if self.store.is_news(place, &failure) {
                        tracing::error!(
                            projection = name,
                            position = %event.recorded().position,
                            event = failure.event_type,
                            %error,
                            "the read model stops in front of an event; the others go on"
                        );
                    }
                }
            }
            _ => {
                trouble.portion = batch.len() / 2;
                trouble.next = Some(Instant::now());
            }
        }
        self.troubles().insert(place.key(), trouble);
        Ok(false)
    }

    /// A read model of another journal, or ahead of this one, cannot be gone on with.
    async fn stop_as_foreign(&self, place: &Place) -> Result<(), ProjectError> {
        let error = ProjectError::ForeignJournal { name: place.projection.name() };
        let stopped = Trouble { portion: 1, attempts: ATTEMPTS, next: None };
        if self.trouble(place).is_none_or(|before| before.next.is_some()) {
            let failure = Failure::of(place.position, &error);
            self.store.stop(place, self.epoch, &failure).await?;
            if self.store.is_news(place, &failure) {
                tracing::error!(%error, "the read model stops");
            }
        }
        self.troubles().insert(place.key(), stopped);
        Ok(())
    }

    /// Applies `batch` to all of `places`, which are equally far, or to none.
    async fn apply(&self, places: &[&Place], batch: &[Event], kept: S::Kept) -> Result<S::Kept, NotApplied> {
        let kept = self.store.apply(places, batch, self.epoch, kept).await?;
        metrics::counter!("dcm_projected_events_total").increment(batch.len() as u64);
        Ok(kept)
    }

    fn trouble(&self, place: &Place) -> Option<Trouble> {
        self.troubles().get(&place.key()).copied()
    }

    fn troubles(&self) -> MutexGuard<'_, HashMap<(&'static str, i64), Trouble>> {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
