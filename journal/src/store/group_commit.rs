//! Queues and one task in front of a store: what is queued shares a transaction, and so one write to disk.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dcm_schemas::{JournalId, Position, Recorded};
use tokio::sync::{mpsc, oneshot, watch};

use self::together::Group;
use super::{
    AppendError, Appended,
    batch::{self, PendingAppend, Written},
    ends::Ends,
    sql::{Connect, PATIENCE, Session, timed_out},
    tail::Tail,
};
use crate::outage::Outage;

mod together;

/// Appends that wait; more wait outside.
const QUEUE: usize = 1024;
/// Most appends of one flush.
const FLUSH_APPENDS: usize = 256;
/// A flush takes no further append once it holds this much text.
const FLUSH_BYTES: usize = 8 << 20;
/// First pause before a failed flush is tried again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The way into the journal: appends of all callers, flushed together.
pub(super) struct GroupCommit {
    queue: mpsc::Sender<Ticket>,
    groups: mpsc::Sender<Group>,
    head: watch::Receiver<u64>,
    tail: Arc<Tail>,
}

struct Ticket {
    append: PendingAppend,
    /// Past it, an append that no flush has taken is answered unavailable.
    deadline: Instant,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

impl GroupCommit {
    /// Starts the flusher, which ends when this is dropped and the queue is empty. `head` is the last order given.
    pub(super) fn start<C: Connect>(
        journal: JournalId,
        head: u64,
        connect: Arc<C>,
        ends: Arc<Ends>,
        session: Option<C::Session>,
    ) -> Self {
        let (queue, tickets) = mpsc::channel(QUEUE);
        let (groups, together) = mpsc::channel(together::QUEUE);
        let (announce, head) = watch::channel(head);
        let outage = Outage::of("journal's writer");
        let tail = Arc::<Tail>::default();
        let kept = Arc::clone(&tail);
        let flusher = Flusher {
            journal,
            tickets,
            groups: together,
            announce,
            connect,
            session,
            ends,
            tail: kept,
            outage,
        };
        tokio::spawn(flusher.run());
        Self { queue, groups, head, tail }
    }

    /// Queues an append and waits for its answer. Takes at most two spans of [`PATIENCE`]: one in the queue, one in the store.
    pub(super) async fn append(&self, append: PendingAppend) -> Result<Appended, AppendError> {
        let stopped = || AppendError::Unavailable("the journal is closed".to_owned());
        let deadline = Instant::now() + PATIENCE;
        let (answer, receive) = oneshot::channel();
        let ticket = Ticket { append, deadline, answer };
        match tokio::time::timeout(PATIENCE, self.queue.send(ticket)).await {
            Ok(Ok(())) => receive.await.map_err(|_| stopped())?,
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(AppendError::Unavailable("the queue is full".to_owned())),
        }
    }

    /// Events after `after` that were written here lately, if they are kept.
    pub(super) fn recent(&self, after: u64, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        self.tail.after(after, limit)
    }

    /// Follows the order of the last event written here.
    pub(super) fn appended(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }
}

/// A flush that is on disk.
struct Flushed {
    /// The last order given before it.
    before: u64,
    answers: Vec<Result<Written, AppendError>>,
}

struct Flusher<C: Connect> {
    journal: JournalId,
    tickets: mpsc::Receiver<Ticket>,
    groups: mpsc::Receiver<Group>,
    announce: watch::Sender<u64>,
    connect: Arc<C>,
    /// Kept between flushes; none after a failure.
    session: Option<C::Session>,
    ends: Arc<Ends>,
    tail: Arc<Tail>,
    /// Each flush of an outage fails, and is repeated: it is told once.
    outage: Outage,
}

impl<C: Connect> Flusher<C> {
    async fn run(mut self) {
        loop {
            tokio::select! {
                Some(first) = self.tickets.recv() => {
                    let batch = self.collect(first);
                    if !batch.is_empty() {
                        self.flush(batch).await;
                    }
                }
                Some(group) = self.groups.recv() => self.flush_together(group).await,
                else => return,
            }
        }
    }

    /// What is queued now, up to the size of a flush, without what has waited too long.
    fn collect(&mut self, first: Ticket) -> Vec<Ticket> {
        let now = Instant::now();
        let (mut batch, mut bytes, mut next) = (Vec::new(), 0, Some(first));
        while let Some(ticket) = next {
            if ticket.deadline < now {
                answer(
                    ticket.answer,
                    Err(AppendError::Unavailable("waited too long in the queue".to_owned())),
                );
            } else {
                bytes += ticket.append.bytes();
                batch.push(ticket);
            }
            let full = batch.len() >= FLUSH_APPENDS || bytes >= FLUSH_BYTES;
            next = if full { None } else { self.tickets.try_recv().ok() };
        }
        batch
    }

    /// Writes a batch and answers it. Should the store refuse it for what is in it, each append is tried alone, so that
    /// only the culprit fails.
    async fn flush(&mut self, batch: Vec<Ticket>) {
        let started = Instant::now();
        let outcome = {
            let appends: Vec<&PendingAppend> = batch.iter().map(|ticket| &ticket.append).collect();
            self.attempt_until_known(&appends, false).await
        };
        match outcome {
            Ok(flushed) => {
                metrics::histogram!("dcm_journal_flush_seconds").record(started.elapsed().as_secs_f64());
                metrics::counter!("dcm_journal_appends_total").increment(batch.len() as u64);
                self.conclude(batch, flushed);
            }
            Err(Failure::Refused(_)) if batch.len() > 1 => {
                for ticket in batch {
                    Box::pin(self.flush(vec![ticket])).await;
                }
            }
            Err(failure) => {
                failure.tell(batch.len());
                for ticket in batch {
                    answer(ticket.answer, Err(failure.error()));
                }
            }
        }
    }

    /// Keeps what was written for those that follow the journal here, tells them, and answers.
    fn conclude(&self, batch: Vec<Ticket>, Flushed { before, answers }: Flushed) {
        let (mut written, mut answered) = (Vec::new(), Vec::with_capacity(batch.len()));
        for (ticket, outcome) in batch.into_iter().zip(answers) {
            let Ticket { append, answer, .. } = ticket;
            // One that was repeated was written before, at an order of then.
            if let Some(last) = outcome.as_ref().ok().filter(|written| written.order > before) {
                written.extend(append.recorded(self.journal, last.order));
            }
            answered.push((answer, outcome.map(|written| self.appended(written))));
        }
        self.publish(before, written);
        for (waiting, outcome) in answered {
            answer(waiting, outcome);
        }
    }

    /// Keeps what was written on top of `before` for those that follow the journal here, and tells them.
    fn publish(&self, before: u64, written: Vec<Recorded>) {
        let head = written.last().map_or(before, |event| event.position.order);
        self.tail.extend(written);
        self.announce.send_if_modified(|announced| {
            let moved = head > *announced;
            *announced = head.max(*announced);
            moved
        });
    }

    fn appended(&self, written: Written) -> Appended {
        Appended {
            last: Position { journal: self.journal, order: written.order },
            revision: written.revision,
        }
    }

    /// Tries the batch until the store says what became of it. After an unknown outcome, the repeated batch finds its own
    /// events if they were written. If they belong `together`, all of them are written or none.
    async fn attempt_until_known(
        &mut self,
        batch: &[&PendingAppend],
        together: bool,
    ) -> Result<Flushed, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match tokio::time::timeout(left, self.attempt(batch, together)).await {
                Ok(Ok(flushed)) => {
                    self.outage.end();
                    return Ok(flushed);
                }
                Ok(Err(error)) => error,
                Err(_) => timed_out(),
            };
            // A failed transaction may still hold its locks: only a closed connection surely gives them up.
            self.session = None;
            self.ends.forget();
            let failure = Failure::of(&error);
            if matches!(failure, Failure::Passing(_)) {
                self.outage.begin(&error);
            }
            if !matches!(failure, Failure::Passing(_)) || Instant::now() + pause >= deadline {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn attempt(&mut self, batch: &[&PendingAppend], together: bool) -> sqlx::Result<Flushed> {
        let mut streams: Vec<&str> = batch.iter().map(|append| append.stream()).collect();
        streams.sort_unstable();
        streams.dedup();
        if let Some(flushed) = self.attempt_at_once(batch, &streams).await? {
            return Ok(flushed);
        }
        let ids: Vec<&str> = batch.iter().flat_map(|append| append.ids()).collect();
        let session = self.session().await?;
        let head = session.begin().await?;
        let known = session.known(&streams, &ids).await?;
        let mut plan = batch::plan(head, known, batch.iter().copied());
        if together && plan.answers.iter().any(Result::is_err) {
            plan.rows.clear();
        }
        session.write(&plan.rows).await?;
        session.commit().await?;
        self.ends.learn(head, &plan.rows);
        Ok(Flushed { before: head, answers: plan.answers })
    }

    /// Writes a batch without a question, if this process knows where its streams end. `None` if it does not, if it was
    /// wrong, or if not all of the batch can be written: then the store is asked.
    async fn attempt_at_once(
        &mut self,
        batch: &[&PendingAppend],
        streams: &[&str],
    ) -> sqlx::Result<Option<Flushed>> {
        let Some((head, known)) = self.ends.guess(streams) else { return Ok(None) };
        let plan = batch::plan(head, known, batch.iter().copied());
        if plan.answers.iter().any(Result::is_err) {
            return Ok(None);
        }
        match self.session().await?.write_at(head, &plan.rows).await {
            Ok(true) => {
                self.ends.learn(head, &plan.rows);
                Ok(Some(Flushed { before: head, answers: plan.answers }))
            }
            Ok(false) => {
                self.ends.forget();
                Ok(None)
            }
            // An id that is used elsewhere: which one, and whether by a repetition, is found out in a transaction.
            Err(error) if is_constraint(&error) => {
                self.session = None;
                self.ends.forget();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn session(&mut self) -> sqlx::Result<&mut C::Session> {
        match &mut self.session {
            Some(session) => Ok(session),
            none => Ok(none.insert(self.connect.connect().await?)),
        }
    }
}

/// A caller that no longer waits does not hear the answer, and that is all.
fn answer(waiting: oneshot::Sender<Result<Appended, AppendError>>, outcome: Result<Appended, AppendError>) {
    if matches!(outcome, Err(AppendError::Conflict { .. })) {
        metrics::counter!("dcm_journal_conflicts_total").increment(1);
    }
    let _ = waiting.send(outcome);
}

/// What a failed flush means.
#[derive(Debug)]
enum Failure {
    /// It may work when repeated: connection, lock, space.
    Passing(String),
    /// It fails again each time for the same content.
    Refused(String),
    /// The store contradicts itself.
    Corrupt(String),
}

impl Failure {
    fn of(error: &sqlx::Error) -> Self {
        let text = error.to_string();
        let Some(database) = error.as_database_error() else {
            return match error {
                sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::RowNotFound => {
                    Self::Corrupt(text)
                }
                sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => Self::Refused(text),
                _ => Self::Passing(text),
            };
        };
        if is_constraint(error) {
            // Ids, revisions and orders were checked under the lock: a constraint can only fail if the tables disagree.
            return Self::Corrupt(text);
        }
        match database.code().as_deref().map(class_of) {
            Some(Class::Passing) => Self::Passing(text),
            Some(Class::Corrupt) => Self::Corrupt(text),
            Some(Class::Other) | None => Self::Refused(text),
        }
    }

    /// Counts `appends` that could not be confirmed; what will not pass is logged.
    fn tell(&self, appends: usize) {
        if !matches!(self, Self::Passing(_)) {
            tracing::error!(appends, error = %self.error(), "the journal cannot write");
        }
        metrics::counter!("dcm_journal_failures_total").increment(appends as u64);
    }

    fn error(&self) -> AppendError {
        match self {
            Self::Passing(text) | Self::Refused(text) => AppendError::Unavailable(text.clone()),
            Self::Corrupt(text) => AppendError::Corrupt(text.clone()),
        }
    }
}

/// Whether the store refuses what one of its constraints does not allow.
fn is_constraint(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| !matches!(error.kind(), sqlx::error::ErrorKind::Other))
}

enum Class {
    Passing,
    Corrupt,
    Other,
}

/// Sorts an SQLSTATE (five characters) or an extended SQLite result code (a number).
fn class_of(code: &str) -> Class {
    if code.len() == 5 {
        return match code.get(..2) {
            // Connection, rollback, resources, object state (locks), operator (shutdown, cancel), system.
            // Transaction state: the server ended an idle transaction, or is a stand-by for now.
            Some("08" | "25" | "40" | "53" | "55" | "57" | "58") => Class::Passing,
            _ if matches!(code, "XX001" | "XX002" | "42P01") => Class::Corrupt,
            _ => Class::Other,
        };
    }
    match code.parse::<u32>().map(|code| code & 0xff) {
        // Busy, locked, input/output, full, cannot open.
        Ok(5 | 6 | 10 | 13 | 14) => Class::Passing,
        // Damaged, not a database.
        Ok(11 | 26) => Class::Corrupt,
        _ => Class::Other,
    }
}
