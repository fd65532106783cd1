//! Where streams ended when this process last wrote or looked: if nobody else has written since, that is where they end, and
//! a flush need not ask.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::batch::{Known, NewRow};

/// How many streams are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// What this process knows of the ends of streams, for its writer and for those that look.
pub(super) struct Ends(Mutex<Remembered>);

struct Remembered {
    /// The last order given when everything remembered was so.
    head: u64,
    last: LruCache<String, Known>,
    /// Whether nobody else wrote between the last two flushes: where several processes write in turn, a guess that is wrong
    /// costs more than it saves.
    is_alone: bool,
    /// Goes up whenever something is forgotten that what was read before may contradict: that is not remembered after.
    era: u64,
}

impl Remembered {
    fn clear(&mut self) {
        self.last.clear();
        self.era += 1;
    }

    fn remember(&mut self, event: Known) {
        let is_new = !self.last.contains(&event.stream);
        let pushed_out = self.last.push(event.stream.clone(), event);
        // Of a stream that was pushed out, what was read before must not come back.
        self.era += u64::from(is_new && pushed_out.is_some());
    }
}

/// What was remembered at all is no older than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Era(u64);

impl Ends {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Remembered { head: 0, last: LruCache::new(REMEMBERED), is_alone: false, era: 0 }))
    }

    /// The last order given and the last events of `streams`, if they are remembered and likely still so.
    pub(super) fn guess(&self, streams: &[&str]) -> Option<(u64, Vec<Known>)> {
        let mut all = self.all();
        if !all.is_alone {
            return None;
        }
        let known = streams.iter().map(|stream| all.last.get(*stream).cloned()).collect::<Option<_>>()?;
        Some((all.head, known))
    }

    /// Whether it is worth asking where all streams end, instead of where each of `streams` does.
    pub(super) fn may_know(&self, streams: &[&str]) -> bool {
        let all = self.all();
        all.is_alone && streams.iter().all(|stream| all.last.contains(*stream))
    }

    /// The last revisions of `streams`, if the last order given, `head`, was this process's: then nothing was written that is
    /// not remembered. What it has written since counts too.
    pub(super) fn revisions_at(&self, head: u64, streams: &[&str]) -> Option<HashMap<String, u64>> {
        let mut all = self.all();
        if !all.is_alone || head > all.head {
            return None;
        }
        let revision = |stream: &&str| Some(((*stream).to_owned(), all.last.get(*stream)?.revision));
        streams.iter().map(revision).collect()
    }

    /// Now, to be told when what is read from here on has been found.
    pub(super) fn era(&self) -> Era {
        Era(self.all().era)
    }

    /// Takes in the last event of a stream, read in `era`. If somebody else has written since, the guess it is for will be
    /// refused.
    pub(super) fn found(&self, era: Era, event: Known) {
        let mut all = self.all();
        if Era(all.era) != era {
            return;
        }
        // What was written since it was asked for is further on.
        if all.last.peek(&event.stream).is_none_or(|known| known.revision < event.revision) {
            all.remember(event);
        }
    }

    /// Takes in what a flush has written on top of `head`.
    pub(super) fn learn(&self, head: u64, rows: &[NewRow<'_>]) {
        let mut all = self.all();
        all.is_alone = head == all.head;
        if !all.is_alone {
            all.clear();
        }
        all.head = rows.last().map_or(head, |row| row.order);
        for row in rows {
            let known = Known {
                stream: row.stream.to_owned(),
                revision: row.revision,
                order: row.order,
                id: row.id.to_owned(),
                hash: row.hash.to_owned(),
            };
            all.remember(known);
        }
    }

    /// Remembers nothing: what was written last is not known, or others write too.
    pub(super) fn forget(&self) {
        let mut all = self.all();
        all.clear();
        all.is_alone = false;
    }

    fn all(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let ends = Ends::new();
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

    #[test]
    fn what_a_look_finds_is_remembered_unless_something_was_written_since() {
        let found = |stream: &str, revision| Known {
            stream: stream.to_owned(),
            revision,
            order: 1,
            id: "id".to_owned(),
            hash: "hash".to_owned(),
        };
        let ends = Ends::new();
        ends.learn(7, &[row(8, "a", 3)]);
        ends.learn(8, &[]);
        ends.found(ends.era(), found("a", 2));
        ends.found(ends.era(), found("b", 6));
        let known = ends.guess(&["a", "b"]).map(|(_, known)| known).unwrap_or_default();
        assert_eq!(known.iter().map(|event| event.revision).collect::<Vec<_>>(), [3, 6]);
        let before = ends.era();
        ends.learn(9, &[row(10, "c", 0)]);
        ends.learn(10, &[]);
        ends.found(before, found("b", 6));
        assert!(ends.guess(&["b"]).is_none(), "somebody else wrote since it was read");
    }

    #[test]
    fn what_was_pushed_out_is_not_remembered_as_it_was_read_before() {
        let found = |stream: &str| Known {
            stream: stream.to_owned(),
            revision: 1,
            order: 1,
            id: "id".to_owned(),
            hash: "hash".to_owned(),
        };
        let ends = Ends::new();
        ends.learn(7, &[row(8, "a", 3)]);
        ends.learn(8, &[row(9, "a", 4)]);
        let before = ends.era();
        ends.found(before, found("a"));
        assert_eq!(ends.era(), before, "nothing is forgotten");
        for number in 0..REMEMBERED.get() {
            ends.found(ends.era(), found(&number.to_string()));
        }
        ends.found(before, found("a"));
        assert!(ends.guess(&["a"]).is_none(), "it has gone on since");
    }

    #[test]
    fn the_last_order_says_whether_what_is_remembered_is_all() {
        let ends = Ends::new();
        ends.learn(7, &[row(8, "a", 3)]);
        assert!(!ends.may_know(&["a"]), "whether others write is not known yet");
        ends.learn(8, &[row(9, "a", 4)]);
        assert!(ends.may_know(&["a"]) && !ends.may_know(&["a", "b"]));
        let revision = |head| ends.revisions_at(head, &["a"]).and_then(|found| found.get("a").copied());
        assert_eq!([revision(8), revision(9), revision(10)], [Some(4), Some(4), None]);
    }
}
