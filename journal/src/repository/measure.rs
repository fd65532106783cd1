//! What a command and its append leave behind for operators: spans and figures.

use std::borrow::Cow;
use std::time::Instant;

use dcm_domain::aggregate::{Aggregate, Command};
use tracing::{Instrument, Span, field};

use super::{CommandError, Done, Meta, Unavailable};
use crate::store::{AppendError, Appended};
use crate::trace;

/// A command that is being carried out.
pub(super) struct Measured {
    aggregate: &'static str,
    command: &'static str,
    span: Span,
    begun: Instant,
}

impl Measured {
    /// Begins the span of one command, inside that of whoever asks for it.
    pub(super) fn begin<A: Aggregate, C: Command<A>>() -> Self {
        let span = tracing::info_span!(
            target: trace::TARGET,
            parent: trace::around(),
            "command",
            otel.name = C::NAME,
            dcm.aggregate = A::KIND,
            dcm.command = C::NAME,
            dcm.outcome = field::Empty,
        );
        Self { aggregate: A::KIND, command: C::NAME, span, begun: Instant::now() }
    }

    /// What its append is to be part of.
    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    /// `meta` as its events record it: where spans are exported, what follows from them follows from this one. Otherwise a
    /// context that the caller sent is passed on as it is.
    pub(super) fn traced<'a>(&self, meta: &'a Meta) -> Cow<'a, Meta> {
        match trace::traceparent(&self.span) {
            Some(traceparent) => Cow::Owned(Meta { traceparent: Some(traceparent), ..meta.clone() }),
            None => Cow::Borrowed(meta),
        }
    }

    /// Counts the command by what became of it.
    pub(super) fn end<A: Aggregate, R: std::error::Error>(&self, done: &Result<Done<A>, CommandError<R>>) {
        let outcome = match done {
            Ok(_) => "accepted",
            Err(CommandError::Rejected(_) | CommandError::IdReused) => "rejected",
            Err(CommandError::Unavailable(Unavailable::Contended)) => "conflict",
            Err(CommandError::Unavailable(_)) => "unavailable",
        };
        self.span.record("dcm.outcome", outcome);
        let Self { aggregate, command, begun, .. } = *self;
        metrics::counter!(
            "dcm_commands_total", "aggregate" => aggregate, "command" => command, "outcome" => outcome
        )
        .increment(1);
        metrics::histogram!("dcm_command_seconds", "aggregate" => aggregate)
            .record(begun.elapsed().as_secs_f64());
    }
}

/// Waits for `appending`, the append of so many events: in the queue and in the store.
pub(super) async fn append(
    events: usize,
    appending: impl Future<Output = Result<Appended, AppendError>>,
) -> Result<Appended, AppendError> {
    let span = tracing::info_span!(
        target: trace::TARGET,
        "append",
        otel.name = "journal append",
        otel.kind = "client",
        dcm.events = events,
        dcm.order = field::Empty,
    );
    let begun = Instant::now();
    let appended = appending.instrument(span.clone()).await;
    if let Ok(appended) = &appended {
        metrics::histogram!("dcm_journal_append_seconds").record(begun.elapsed().as_secs_f64());
        span.record("dcm.order", appended.last.order);
    }
    appended
}
