//! One queue and one task in front of a store: what is queued shares a transaction, and so one write to disk.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dcm_schemas::{JournalId, Position};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    AppendError, Appended,
    batch::{self, PendingAppend, Written},
    sql::{Connect, PATIENCE, Session, timed_out},
};
use crate::outage::Outage;

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
    head: watch::Receiver<u64>,
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
        connect: C,
        session: Option<C::Session>,
    ) -> Self {
        let (queue, tickets) = mpsc::channel(QUEUE);
        let (announce, head) = watch::channel(head);
        let outage = Outage::of("journal's writer");
        let flusher = Flusher { journal, tickets, announce, connect: Arc::new(connect), session, outage };
        tokio::spawn(flusher.run());
        Self { queue, head }
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

    /// Follows the order of the last event written here.
    pub(super) fn appended(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }
}

struct Flusher<C: Connect> {
    journal: JournalId,
    tickets: mpsc::Receiver<Ticket>,
    announce: watch::Sender<u64>,
    connect: Arc<C>,
    /// Kept between flushes; none after a failure.
    session: Option<C::Session>,
    /// Each flush of an outage fails, and is repeated: it is told once.
    outage: Outage,
}

impl<C: Connect> Flusher<C> {
    async fn run(mut self) {
        while let Some(first) = self.tickets.recv().await {
            let batch = self.collect(first);
            if !batch.is_empty() {
                self.flush(batch).await;
            }
        }
    }

    /// What is queued now, up to the size of a flush, without what has waited too long.
    fn collect(&mut self, first: Ticket) -> Vec<Ticket> {
        let now = Instant::now();
        let (mut batch, mut bytes, mut next) = (Vec::new(), 0, Some(first));
        while let Some(ticket) = next {
            if ticket.deadline < now {
                answer(ticket, Err(AppendError::Unavailable("waited too long in the queue".to_owned())));
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
        match self.attempt_until_known(&batch).await {
            Ok(answers) => {
                metrics::histogram!("dcm_journal_flush_seconds").record(started.elapsed().as_secs_f64());
                metrics::counter!("dcm_journal_appends_total").increment(batch.len() as u64);
                for (ticket, outcome) in batch.into_iter().zip(answers) {
                    let outcome = outcome.map(|written| self.appended(written));
                    answer(ticket, outcome);
                }
            }
            Err(Failure::Refused(_)) if batch.len() > 1 => {
                for ticket in batch {
                    Box::pin(self.flush(vec![ticket])).await;
                }
            }
            Err(failure) => {
                if !matches!(failure, Failure::Passing(_)) {
                    tracing::error!(appends = batch.len(), error = %failure.error(), "the journal cannot write");
                }
                metrics::counter!("dcm_journal_failures_total").increment(batch.len() as u64);
                for ticket in batch {
                    answer(ticket, Err(failure.error()));
                }
            }
        }
    }

    fn appended(&self, written: Written) -> Appended {
        Appended {
            last: Position { journal: self.journal, order: written.order },
            revision: written.revision,
        }
    }

    /// Tries the batch until the store says what became of it. After an unknown outcome, the repeated batch finds its own
    /// events if they were written.
    async fn attempt_until_known(
        &mut self,
        batch: &[Ticket],
    ) -> Result<Vec<Result<Written, AppendError>>, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match tokio::time::timeout(left, self.attempt(batch)).await {
                Ok(Ok(answers)) => {
                    self.outage.end();
                    return Ok(answers);
                }
                Ok(Err(error)) => error,
                Err(_) => timed_out(),
            };
            // A failed transaction may still hold its locks: only a closed connection surely gives them up.
            self.session = None;
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

    async fn attempt(&mut self, batch: &[Ticket]) -> sqlx::Result<Vec<Result<Written, AppendError>>> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(self.connect.connect().await?),
        };
        let mut streams: Vec<&str> = batch.iter().map(|ticket| ticket.append.stream()).collect();
        streams.sort_unstable();
        streams.dedup();
        let ids: Vec<&str> = batch.iter().flat_map(|ticket| ticket.append.ids()).collect();

        let head = session.begin().await?;
        let known = session.known(&streams, &ids).await?;
        let plan = batch::plan(head, known, batch.iter().map(|ticket| &ticket.append));
        session.write(&plan.rows).await?;
        session.commit().await?;

        let head = plan.rows.last().map_or(head, |row| row.order);
        self.announce.send_if_modified(|announced| {
            let moved = head > *announced;
            *announced = head.max(*announced);
            moved
        });
        Ok(plan.answers)
    }
}

/// A caller that no longer waits does not hear the answer, and that is all.
fn answer(ticket: Ticket, outcome: Result<Appended, AppendError>) {
    if matches!(outcome, Err(AppendError::Conflict { .. })) {
        metrics::counter!("dcm_journal_conflicts_total").increment(1);
    }
    let _ = ticket.answer.send(outcome);
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
        if !matches!(database.kind(), sqlx::error::ErrorKind::Other) {
            // Ids, revisions and orders were checked under the lock: a constraint can only fail if the tables disagree.
            return Self::Corrupt(text);
        }
        match database.code().as_deref().map(class_of) {
            Some(Class::Passing) => Self::Passing(text),
            Some(Class::Corrupt) => Self::Corrupt(text),
            Some(Class::Other) | None => Self::Refused(text),
        }
    }

    fn error(&self) -> AppendError {
        match self {
            Self::Passing(text) | Self::Refused(text) => AppendError::Unavailable(text.clone()),
            Self::Corrupt(text) => AppendError::Corrupt(text.clone()),
        }
    }
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
