//! Where streams ended when this process last wrote: if nobody else has written since, that is where they end, and a
//! flush need not ask.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::batch::{Known, NewRow};

/// How many streams are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// What the writer of this process knows of the ends of streams.
pub(super) struct Ends {
    /// The last order given when everything remembered was so.
    head: u64,
    last: LruCache<String, Known>,
    /// Whether nobody else wrote between the last two flushes: where several processes write in turn, a guess that is wrong
    /// costs more than it saves.
    is_alone: bool,
}

impl Ends {
    pub(super) fn new() -> Self {
        Self { head: 0, last: LruCache::new(REMEMBERED), is_alone: false }
    }

    /// The last order given and the last events of `streams`, if they are remembered and likely still so.
    pub(super) fn guess(&mut self, streams: &[&str]) -> Option<(u64, Vec<Known>)> {
        let known = || streams.iter().map(|stream| self.last.get(*stream).cloned()).collect::<Option<_>>();
        self.is_alone.then(known).flatten().map(|known| (self.head, known))
    }

    /// Takes in what a flush has written on top of `head`.
    pub(super) fn learn(&mut self, head: u64, rows: &[NewRow<'_>]) {
        self.is_alone = head == self.head;
        if !self.is_alone {
            self.last.clear();
        }
        self.head = rows.last().map_or(head, |row| row.order);
        for row in rows {
            let known = Known {
                stream: row.stream.to_owned(),
                revision: row.revision,
                order: row.order,
                id: row.id.to_owned(),
                hash: row.hash.to_owned(),
            };
            self.last.put(known.stream.clone(), known);
        }
    }

    /// Remembers nothing: what was written last is not known, or others write too.
    pub(super) fn forget(&mut self) {
        self.last.clear();
        self.is_alone = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(order: u64, stream: &str, revision: u64) -> NewRow<'_> {
        NewRow {
            order,
            stream,
            revision,
            id: "id",
            r#type: "Tested",
            recorded_at: 0,
            hash: "hash",
            body: "{}",
        }
    }

    #[test]
    fn what_is_remembered_is_guessed_only_while_nobody_else_writes() {
        let mut ends = Ends::new();
        ends.learn(7, &[row(8, "a", 0)]);
        assert!(ends.guess(&["a"]).is_none(), "seven events were there already");
        ends.learn(8, &[row(9, "b", 4), row(10, "b", 5)]);
        let (head, known) = ends.guess(&["a", "b"]).unwrap_or_default();
        assert_eq!((head, known.iter().map(|event| event.revision).collect()), (10, vec![0, 5]));
        assert!(ends.guess(&["c"]).is_none(), "nothing is known of it");
        ends.learn(12, &[row(13, "b", 6)]);
        assert!(ends.guess(&["b"]).is_none(), "somebody else wrote");
        ends.learn(13, &[]);
        assert!(ends.guess(&["b"]).is_some());
        assert!(ends.guess(&["a"]).is_none(), "it may have gone on with what somebody else wrote");
        ends.forget();
        assert!(ends.guess(&["b"]).is_none());
    }
}
