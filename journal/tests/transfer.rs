//! A journal is checked as a whole, and taken from store to store without a byte changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "store/cluster.rs"]
mod cluster;
#[path = "store/events.rs"]
mod events;
#[path = "store/site.rs"]
#[expect(dead_code, reason = "shared with the store's own tests")]
mod site;

use std::sync::Arc;

use dcm_journal::store::Journal;
use dcm_journal::transfer::{CopyError, ImportError, copy, export, import, verify};
use dcm_schemas::Recorded;
use events::{following, new_stream, read_everything};
use site::Site;

/// Appends of one to three events on five streams in turn.
async fn filled(site: &Site, appends: usize) -> Arc<dyn Journal> {
    let journal = site.open().await;
    let mut streams = (0..5).map(|_| (new_stream(), None)).collect::<Vec<_>>();
    for number in 0..appends {
        let (stream, last) = &mut streams[number % 5];
        let (expected, events) = following(stream, last.as_ref(), 1 + number as u64 % 3);
        *last = events.last().cloned();
        journal.append(stream, expected, events).await.unwrap();
    }
    journal
}

async fn text_of(journal: &dyn Journal) -> Vec<u8> {
    let mut text = Vec::new();
    export(journal, 0, &mut text, |_| {}).await.unwrap();
    text
}

fn bodies(events: &[Recorded]) -> Vec<&str> {
    events.iter().map(|event| event.body.as_str()).collect()
}

async fn same(from: &dyn Journal, to: &dyn Journal) {
    assert_ne!(from.id(), to.id());
    assert_eq!(bodies(&read_everything(from).await), bodies(&read_everything(to).await));
    let checked = verify(to, |_| {}).await.unwrap();
    assert_eq!((checked.broken, checked.streams), (0, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_goes_from_engine_to_engine_and_back() {
    let (embedded, postgres, back) = (Site::sqlite().await, Site::postgres().await, Site::sqlite().await);
    let from = filled(&embedded, 1500).await;
    let to = postgres.open().await;
    let done = copy(&*from, &*to, |_| {}).await.unwrap();
    assert_eq!((done.copied, done.present), (3000, 0));
    same(&*from, &*to).await;

    let again = copy(&*from, &*to, |_| {}).await.unwrap();
    assert_eq!((again.copied, again.present), (0, 3000));

    // Through a store whose orders have gaps, which the file of lines knows from missing ones.
    let esdb = Site::esdb().await;
    let between = esdb.open().await;
    let done = copy(&*to, &*between, |_| {}).await.unwrap();
    assert_eq!((done.copied, done.present), (3000, 0));
    let again = copy(&*from, &*between, |_| {}).await.unwrap();
    assert_eq!((again.copied, again.present), (0, 3000));
    same(&*from, &*between).await;
    let to = between;

    let back = back.open().await;
    let (journal, done) = import(&*back, &mut text_of(&*to).await.as_slice(), |_| {}).await.unwrap();
    assert_eq!((journal, done.copied), (to.id(), 3000));
    same(&*from, &*back).await;
}

#[tokio::test]
async fn what_was_broken_off_is_continued() {
    let (first, second) = (Site::sqlite().await, Site::sqlite().await);
    let from = filled(&first, 40).await;
    let to = second.open().await;
    let text = text_of(&*from).await;
    let half = text.len() / 2;
    let broken_off = import(&*to, &mut &text[..half], |_| {}).await;
    assert!(matches!(broken_off, Err(ImportError::Line { .. })), "{broken_off:?}");
    // Whole lines only, cut in the middle of an append perhaps.
    let lines = text.split_inclusive(|byte| *byte == b'\n').take(30).flatten().copied().collect::<Vec<_>>();
    import(&*to, &mut lines.as_slice(), |_| {}).await.unwrap();
    let (_, done) = import(&*to, &mut text.as_slice(), |_| {}).await.unwrap();
    assert_eq!(done.present, 29);
    same(&*from, &*to).await;
}

#[tokio::test]
async fn a_journal_with_something_else_is_left_alone() {
    let (first, second) = (Site::sqlite().await, Site::sqlite().await);
    let (from, to) = (filled(&first, 10).await, filled(&second, 3).await);
    let before = read_everything(&*to).await;
    let refused = copy(&*from, &*to, |_| {}).await;
    assert!(matches!(refused, Err(CopyError::Different { order: 1 })), "{refused:?}");
    assert_eq!(bodies(&read_everything(&*to).await), bodies(&before));
    // It holds all of the other, and more.
    let third = Site::sqlite().await;
    let longer = third.open().await;
    copy(&*from, &*longer, |_| {}).await.unwrap();
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 1);
    longer.append(&stream, expected, events).await.unwrap();
    let refused = copy(&*from, &*longer, |_| {}).await;
    assert!(matches!(refused, Err(CopyError::Different { .. })), "{refused:?}");
}

#[tokio::test]
async fn lines_that_were_touched_are_refused() {
    let site = Site::sqlite().await;
    let from = filled(&site, 5).await;
    let text = String::from_utf8(text_of(&*from).await).unwrap();
    let first_line = text.lines().next().unwrap();
    let touched = text.replacen("\"revision\":0", "\"revision\": 0", 1).replacen("user", "usor", 1);
    for (lines, what) in [
        (String::new(), "nothing"),
        ("{}\n".to_owned(), "no head"),
        (text.replacen("\"version\":1", "\"version\":2", 1), "another version"),
        (first_line.replacen("\"after\":0", "\"after\":3", 1), "a part"),
        (touched, "another text"),
        (
            text.lines()
                .enumerate()
                .filter(|(number, _)| *number != 2)
                .map(|(_, line)| format!("{line}\n"))
                .collect(),
            "a gap",
        ),
        (format!("{first_line}\nnonsense\n"), "no event"),
    ] {
        let to = Site::sqlite().await.open().await;
        let refused = import(&*to, &mut lines.as_bytes(), |_| {}).await;
        assert!(refused.is_err(), "{what} was taken: {refused:?}");
    }
}

#[tokio::test]
async fn an_altered_byte_is_found() {
    let site = Site::sqlite().await;
    let journal = filled(&site, 10).await;
    let whole = verify(&*journal, |_| {}).await.unwrap();
    assert_eq!((whole.events, whole.streams, whole.broken), (19, 5, 0));
    site.alter(7, "\"revision\":1,", "\"revision\":1, ").await;
    let found = verify(&*journal, |_| {}).await.unwrap();
    assert!(found.broken <= 1, "{found:?}");
    site.alter(3, "test", "tesu").await;
    let found = verify(&*journal, |_| {}).await.unwrap();
    assert!(found.first_broken.iter().any(|broken| broken.order == 3), "{found:?}");
}
