//! The world of one seed: virtual time, what goes wrong in it, and the processes that live in it.
//!
//! Everything a process does to the outside goes through a port, and every call of a port takes its turn: it arrives
//! after a while, may be refused, may kill the caller before or after its effect, and is answered after another while.
//! A paused process arrives nowhere and hears nothing until it goes on, and then goes on with what it knew; a killed one
//! never hears of anything again. Turns of different processes never fall into the same millisecond, so that the seed
//! alone decides what comes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dcm_journal::lease::Holder;
use dcm_schemas::JournalId;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::dice::{Dice, named};
use super::truth::Truth;

/// Turns of the process with index `i` happen in milliseconds that leave `i` when divided by this.
const SLOTS: u64 = 16;
/// Process ids that no kernel gives, so that no living process is taken for one of these.
const FIRST_PID: u64 = 1 << 40;

/// A port that does not keep its promise, to see that the checks notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The journal answers before it writes, and sometimes forgets.
    Journal,
    /// The bus stores what comes from a relay that was overtaken.
    Fence,
    /// A checkpoint is moved by whoever asks.
    Checkpoint,
    /// A lease that is held is shown as one that ran out long ago.
    Lease,
    /// A refilled bus is taken for news.
    Replay,
}

/// How bad it gets: each number is a "once in".
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Calls that are refused without an effect.
    pub refused: u64,
    /// Calls that have their effect and are answered as if the store were away.
    pub unknown: u64,
    /// Calls whose caller dies, half of them after the effect.
    pub fatal: u64,
    /// Seconds in which a process is paused.
    pub pauses: u64,
    /// Seconds in which a process is killed.
    pub kills: u64,
    /// Seconds in which the bus loses everything.
    pub wipes: u64,
    /// Seconds in which the clock of the lease store jumps.
    pub jumps: u64,
    /// Deliveries that come again, or late.
    pub repeats: u64,
    /// Events that no program can take into every read model before somebody has replaced it.
    pub strange: u64,
}

impl Weather {
    fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, &[named("weather")]);
        let mut pick = |choices: [u64; 4]| choices[usize::try_from(dice.below(4)).unwrap_or(0)];
        Self {
            refused: pick([0, 100, 30, 8]),
            unknown: pick([0, 100, 30, 8]),
            fatal: pick([0, 0, 300, 80]),
            pauses: pick([0, 0, 30, 10]),
            kills: pick([0, 0, 40, 15]),
            wipes: pick([0, 0, 0, 20]),
            jumps: pick([0, 0, 0, 15]),
            repeats: pick([0, 20, 8, 3]),
            strange: pick([0, 0, 0, 80]),
        }
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out and answered.
    Fine,
    /// It is not carried out, and answered as if the store were away.
    Refused,
    /// It is carried out, and answered as if the store were away.
    Unknown,
    /// It is carried out, and the caller dies before the answer.
    Last,
}

/// The world of one seed.
pub struct World {
    pub seed: u64,
    pub weather: Weather,
    pub broken: Option<Broken>,
    pub journal_id: JournalId,
    began: Instant,
    truth: Mutex<Truth>,
    calm: AtomicBool,
    /// Of what happens, if it is kept: to render it costs more than much of what it tells of.
    trace: Option<Mutex<Trace>>,
    incarnations: AtomicU64,
    /// Rung when messages appear, are settled, or vanish.
    pub bus_changed: Notify,
}

#[derive(Default)]
struct Trace {
    digest: u64,
    lines: Vec<String>,
}

impl World {
    pub fn new(seed: u64, broken: Option<Broken>, keep_trace: bool) -> Arc<Self> {
        Arc::new(Self {
            seed,
            weather: Weather::of(seed),
            broken,
            journal_id: JournalId(Uuid::from_u128(1)),
            began: Instant::now(),
            truth: Mutex::default(),
            calm: AtomicBool::new(false),
            trace: keep_trace.then(Mutex::default),
            incarnations: AtomicU64::new(0),
            bus_changed: Notify::new(),
        })
    }

    /// What is so, whoever knows it.
    pub fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the beginning.
    pub fn now(&self) -> u64 {
        self.millisecond(Instant::now())
    }

    /// Milliseconds from the beginning to `moment`.
    pub fn millisecond(&self, moment: Instant) -> u64 {
        let passed = moment.saturating_duration_since(self.began);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the event `order` is of a kind that the programs have yet to learn.
    pub fn is_strange(&self, order: u64) -> bool {
        Dice::of(self.seed, &[named("strange"), order]).once_in(self.weather.strange)
    }

    /// Notes what happened. Nothing random but the seed may be in it.
    pub fn note(&self, what: std::fmt::Arguments<'_>) {
        let Some(mut trace) = self.trace() else { return };
        let line = format!("{:>7} {what}", self.now());
        trace.digest = trace.digest.rotate_left(5) ^ named(&line);
        trace.lines.push(line);
    }

    /// A number that differs where two histories differ, if they were kept.
    pub fn digest(&self) -> u64 {
        self.trace().map_or(0, |trace| trace.digest)
    }

    /// What happened, if it was kept.
    pub fn lines(&self) -> Vec<String> {
        self.trace().map_or_else(Vec::new, |trace| trace.lines.clone())
    }

    fn trace(&self) -> Option<MutexGuard<'_, Trace>> {
        Some(self.trace.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on nothing goes wrong any more.
    pub fn becomes_calm(&self) {
        self.calm.store(true, Ordering::SeqCst);
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }
}

/// A process, from its start to its end.
pub struct Node {
    pub world: Arc<World>,
    pub name: &'static str,
    pub host: &'static str,
    index: u64,
    incarnation: u64,
    dead: CancellationToken,
    paused_until: AtomicU64,
    /// The last creation of the bus that it looked at.
    creation: AtomicU64,
    draws: Mutex<BTreeMap<(u64, u64), u64>>,
}

impl Node {
    /// A process that has just started; `index` is its own among all names.
    pub fn start(world: &Arc<World>, name: &'static str, host: &'static str, index: u64) -> Arc<Self> {
        let incarnation = world.incarnations.fetch_add(1, Ordering::SeqCst);
        let node = Arc::new(Self {
            world: Arc::clone(world),
            name,
            host,
            index,
            incarnation,
            dead: CancellationToken::new(),
            paused_until: AtomicU64::new(0),
            creation: AtomicU64::new(u64::MAX),
            draws: Mutex::default(),
        });
        world.note(format_args!("{name} starts"));
        world.truth().living.insert(node.pid(), true);
        node
    }

    fn pid(&self) -> i64 {
        i64::try_from(FIRST_PID + self.incarnation).unwrap_or(i64::MAX)
    }

    /// The name under which it holds leases as `role`.
    pub fn holder(&self, role: &str) -> Holder {
        let incarnation = i64::try_from(self.incarnation).unwrap_or(i64::MAX);
        Holder {
            role: role.to_owned(),
            host: self.host.to_owned(),
            boot_id: self.host.to_owned(),
            pid: self.pid(),
            start_time: incarnation,
        }
    }

    /// The next draws for `what`; each `what` has a sequence of its own.
    pub fn dice(&self, what: &str, key: u64) -> Dice {
        let what = named(what);
        let mut draws = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
        let drawn = draws.entry((what, key)).or_default();
        *drawn += 1;
        Dice::of(self.world.seed, &[self.index, self.incarnation, what, key, *drawn])
    }

    /// A call arrives: what becomes of it. The caller carries it out unless it is refused, and then hears by
    /// [`answered`](Self::answered).
    pub async fn turn(&self, what: &'static str, key: u64) -> Fate {
        let mut dice = self.dice(what, key);
        self.after(dice.millis(10, 150)).await;
        if self.world.is_calm() {
            return Fate::Fine;
        }
        let weather = self.world.weather;
        let fate = if dice.once_in(weather.fatal) {
            if dice.once_in(2) {
                self.kill();
                self.after(Duration::ZERO).await;
            }
            Fate::Last
        } else if dice.once_in(weather.refused) {
            Fate::Refused
        } else if dice.once_in(weather.unknown) {
            Fate::Unknown
        } else {
            Fate::Fine
        };
        if fate != Fate::Fine {
            self.world.note(format_args!("{} {what}: {fate:?}", self.name));
        }
        fate
    }

    /// The answer to a call that was carried out reaches the caller; false if it is told that the store is away.
    pub async fn answered(&self, what: &'static str, key: u64, fate: Fate) -> bool {
        if fate == Fate::Last {
            self.kill();
        }
        let delay = self.dice(what, key).millis(10, 150);
        self.after(delay).await;
        fate == Fate::Fine
    }

    /// Comes back after `delay`, when it is this process' turn, and not while it is paused; never once it is dead.
    pub async fn after(&self, delay: Duration) {
        let mut delay = delay;
        loop {
            let due = self.world.now() + u64::try_from(delay.as_millis()).unwrap_or(0);
            let due = due.max(self.paused_until.load(Ordering::SeqCst));
            let slot = due - due % SLOTS + self.index;
            let slot = if slot < due || slot == self.world.now() { slot + SLOTS } else { slot };
            tokio::time::sleep_until(self.world.began + Duration::from_millis(slot)).await;
            if self.dead.is_cancelled() {
                std::future::pending::<()>().await;
            }
            if self.paused_until.load(Ordering::SeqCst) <= self.world.now() {
                return;
            }
            delay = Duration::ZERO;
        }
    }

    /// As SIGKILL does: nothing it does has an effect any more, and its supervisors end its playbooks.
    pub fn kill(&self) {
        if self.dead.is_cancelled() {
            return;
        }
        self.world.note(format_args!("{} dies", self.name));
        self.dead.cancel();
        let now = self.world.now();
        let gone = now + self.dice("supervisor", 0).below(9_000);
        let mut truth = self.world.truth();
        truth.living.insert(self.pid(), false);
        for playbook in truth.playbooks.iter_mut().filter(|playbook| playbook.pid == self.pid()) {
            playbook.ends_at = playbook.ends_at.min(gone);
        }
    }

    /// As SIGSTOP and SIGCONT do.
    pub fn pause(&self, time: Duration) {
        let until = self.world.now() + u64::try_from(time.as_millis()).unwrap_or(0);
        self.world.note(format_args!("{} stands still until {until}", self.name));
        self.paused_until.fetch_max(until, Ordering::SeqCst);
    }

    /// Waits for its death.
    pub async fn died(&self) {
        self.dead.cancelled().await;
    }

    /// It looks at the end of the events of this creation of the bus.
    pub fn sees_creation(&self, creation: u64) {
        self.creation.store(creation, Ordering::SeqCst);
    }

    /// Whether that is the last one it looked at.
    pub fn knows_creation(&self, creation: u64) -> bool {
        self.creation.load(Ordering::SeqCst) == creation
    }

    /// The process' own number among those of the operating system.
    pub fn process_id(&self) -> i64 {
        self.pid()
    }
}
