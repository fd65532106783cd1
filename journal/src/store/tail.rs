//! The last events that this process wrote, kept in memory for those that follow the journal in the same process: they are
//! handed on without being read back and parsed once for each.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dcm_schemas::Recorded;

/// Events that are kept at most; who is further behind reads the store.
const EVENTS: usize = 2048;
/// Text that they may hold together, in bytes.
const BYTES: usize = 8 << 20;

/// Events that follow one another without a gap.
#[derive(Default)]
pub(super) struct Tail(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    events: VecDeque<Arc<Recorded>>,
    bytes: usize,
}

impl Tail {
    /// Adds what was written last, in its order. What others wrote before it is not here, so nothing before it is kept then.
    pub(super) fn extend(&self, written: impl IntoIterator<Item = Recorded>) {
        let mut kept = self.kept();
        for event in written {
            let follows = kept.last().is_some_and(|last| last + 1 == event.position.order);
            if !follows {
                *kept = Kept::default();
            }
            kept.push(event);
        }
    }

    /// At most `limit` events after the order `after`, none left out; `None` if they are not kept, or there is none.
    pub(super) fn after(&self, after: u64, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        let kept = self.kept();
        let first = kept.events.front()?.position.order;
        let skipped = usize::try_from(after.checked_add(1)?.checked_sub(first)?).ok()?;
        let found: Vec<_> = kept.events.iter().skip(skipped).take(limit).map(Arc::clone).collect();
        (!found.is_empty()).then_some(found)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn last(&self) -> Option<u64> {
        self.events.back().map(|event| event.position.order)
    }

    fn push(&mut self, event: Recorded) {
        self.bytes += event.body.len();
        self.events.push_back(Arc::new(event));
        while self.events.len() > EVENTS || self.bytes > BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= oldest.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use dcm_domain::value::{Actor, Timestamp};
    use dcm_schemas::{Envelope, JournalId, Position};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn event(order: u64) -> Recorded {
        let envelope = Envelope {
            id: Uuid::from_u128(u128::from(order)),
            r#type: "Tested".to_owned(),
            version: 1,
            stream: "directory-subcloud".parse().unwrap(),
            revision: order,
            recorded_at: Timestamp::from_micros(0),
            actor: Actor::system("test"),
            request_id: None,
            correlation_id: Uuid::nil(),
            causation_id: None,
            command_id: Uuid::nil(),
            traceparent: None,
            command: None,
            data: json!({}),
            hash: String::new(),
        };
        Recorded {
            position: Position { journal: JournalId(Uuid::nil()), order },
            body: "x".repeat(1000),
            envelope,
        }
    }

    fn orders(tail: &Tail, after: u64, limit: usize) -> Option<Vec<u64>> {
        let found = tail.after(after, limit)?;
        Some(found.iter().map(|event| event.position.order).collect())
    }

    #[test]
    fn what_is_kept_has_no_gap() {
        let tail = Tail::default();
        assert_eq!(orders(&tail, 0, 9), None);
        tail.extend([event(5), event(6)]);
        tail.extend([event(7)]);
        assert_eq!(orders(&tail, 4, 9), Some(vec![5, 6, 7]));
        assert_eq!(orders(&tail, 5, 1), Some(vec![6]));
        assert_eq!(
            (orders(&tail, 3, 9), orders(&tail, 7, 9), orders(&tail, u64::MAX, 9)),
            (None, None, None)
        );
        tail.extend([event(9)]);
        assert_eq!((orders(&tail, 7, 9), orders(&tail, 8, 9)), (None, Some(vec![9])));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let tail = Tail::default();
        tail.extend((1..=3000).map(event));
        assert_eq!(orders(&tail, 3000 - 2049, 1), None);
        assert_eq!(orders(&tail, 3000 - 2048, 1), Some(vec![953]));
        let huge = Recorded { body: "x".repeat(BYTES + 1), ..event(3001) };
        tail.extend([huge]);
        assert_eq!(orders(&tail, 3000, 1), None);
        tail.extend([event(3002)]);
        assert_eq!(orders(&tail, 3001, 1), Some(vec![3002]));
    }
}
