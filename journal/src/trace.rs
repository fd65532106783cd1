//! Traces: the spans that go to a collector, and the W3C context that ties them together across processes.
//!
//! What is exported is what has the target [`TARGET`], and nothing else; log lines never show such a span. So without a
//! collector every one of them is disabled, which costs a look at a static. Within one process a span's parent is the span
//! around it. Over the journal and the bus nobody waits for anybody: whoever takes up an event begins a trace of its own
//! and [links](link) it to the one that the event was written in.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Target of every span that is exported.
pub const TARGET: &str = "dcm::trace";

/// The context of `span` as a W3C `traceparent`; `None` if it goes nowhere.
pub fn traceparent(span: &Span) -> Option<String> {
    let context = context(span)?;
    let (trace, id) = (context.trace_id(), context.span_id());
    Some(format!("00-{trace}-{id}-{:02x}", context.trace_flags().to_u8()))
}

/// The trace that `span` belongs to, 32 digits; `None` if it goes nowhere.
pub fn trace_id(span: &Span) -> Option<String> {
    context(span).map(|context| context.trace_id().to_string())
}

/// The exported span around whatever is done now, to be the parent of another: spans of the log stand in between.
pub fn around() -> Option<tracing::Id> {
    let found = Span::current().with_subscriber(|(id, dispatch)| {
        let spans = dispatch.downcast_ref::<Registry>()?;
        let around = spans.span(id)?.scope().find(|span| span.metadata().target() == TARGET)?;
        Some(around.id())
    });
    found.flatten()
}

/// Makes `span`, which nobody has entered yet, part of the trace that `traceparent` names.
pub fn continue_from(span: &Span, traceparent: &str) {
    if span.is_disabled() {
        return;
    }
    if let Some(remote) = parse(traceparent) {
        // Refused only for a span that is not exported, and for one that has begun.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote));
    }
}

/// Links `span` to the context that `traceparent` names: it follows from it and nobody there waits for it.
pub fn link(span: &Span, traceparent: &str) {
    if span.is_disabled() {
        return;
    }
    if let Some(remote) = parse(traceparent) {
        span.add_link(remote);
    }
}

/// Names `span` anew, for what is only known when it has begun.
pub fn rename(span: &Span, name: String) {
    if !span.is_disabled() {
        span.context().span().update_name(name);
    }
}

/// The trace that a `traceparent` names, 32 digits; `None` if it is none.
pub fn trace_of(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1).filter(|trace| trace.len() == 32)
}

fn context(span: &Span) -> Option<SpanContext> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context().span().span_context().clone();
    context.is_valid().then_some(context)
}

/// Reads `00-<trace>-<span>-<flags>` (W3C Trace Context §3.2).
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut fields = traceparent.split('-');
    let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let lengths = (trace.len(), span.len(), flags.len());
    if version != "00" || lengths != (32, 16, 2) || fields.next().is_some() {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_read_as_the_w3c_writes_it() {
        let context = parse(GOOD).unwrap();
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(trace_of(GOOD), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for bad in ["", "00-1-2-01", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_span_that_goes_nowhere_has_no_context() {
        let span = tracing::info_span!(target: TARGET, "nothing listens");
        continue_from(&span, GOOD);
        link(&span, GOOD);
        assert_eq!((traceparent(&span), trace_id(&span)), (None, None));
    }
}
