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

use dcm_journal::store::{Journal, ReadError};
use dcm_journal::transfer::{
    CopyError, ExportError, Exported, ImportError, Missing, copy, export, import, verify,
};
use dcm_schemas::Recorded;
use events::{following, new_stream, read_everything};
use site::Site;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, sqlite::SqliteConnectOptions};

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
    exported(journal, 0).await.0
}

async fn exported(journal: &dyn Journal, after: u64) -> (Vec<u8>, Exported) {
    let mut text = Vec::new();
    let done = export(journal, after, &mut text, |_| {}).await.unwrap();
    (text, done)
}

/// The head and the first `events` lines behind it.
fn beginning(text: &[u8], events: usize) -> Vec<u8> {
    text.split_inclusive(|byte| *byte == b'\n').take(1 + events).flatten().copied().collect()
}

fn bodies(events: &[Recorded]) -> Vec<&str> {
    events.iter().map(|event| event.body.as_str()).collect()
}

/// Whatever became of it, `to` holds a whole beginning of `from`.
async fn is_beginning(from: &dyn Journal, to: &dyn Journal) {
    let (whole, part) = (read_everything(from).await, read_everything(to).await);
    assert!(part.len() < whole.len());
    assert!(bodies(&whole).starts_with(&bodies(&part)));
    assert!(verify(to, |_| {}).await.unwrap().is_whole());
}

/// Runs a statement behind an embedded journal's back.
async fn meddle(site: &Site, statement: String) {
    let file = SqliteConnectOptions::new().filename(site.dir.path().join("journal.db"));
    let mut connection = file.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
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
    import(&*to, &mut beginning(&text, 29).as_slice(), |_| {}).await.unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_end_is_found() {
    for site in [Site::sqlite().await, Site::postgres().await] {
        let journal = filled(&site, 10).await;
        site.remove(18).await;
        site.remove(19).await;
        let found = verify(&*journal, |_| {}).await.unwrap();
        assert_eq!((found.events, found.broken, found.is_whole()), (17, 0, false));
        let missing = found.missing.unwrap();
        assert_eq!(missing, Missing { first: 18, last: 19 });
        assert!(missing.to_string().contains("from 18 to 19"), "{missing}");

        let mut text = Vec::new();
        let refused = export(&*journal, 0, &mut text, |_| {}).await;
        let damaged = matches!(refused, Err(ExportError::Read(ReadError::Corrupt { order: 18, .. })));
        assert!(damaged, "{refused:?}");
        let elsewhere = Site::sqlite().await;
        let to = elsewhere.open().await;
        let refused = copy(&*journal, &*to, |_| {}).await;
        let damaged = matches!(refused, Err(CopyError::Read(ReadError::Corrupt { order: 18, .. })));
        assert!(damaged, "{refused:?}");
    }
}

#[tokio::test]
async fn a_journal_that_lost_everything_is_not_an_empty_one() {
    let site = Site::sqlite().await;
    let journal = filled(&site, 10).await;
    meddle(&site, "delete from journal_event".to_owned()).await;
    let found = verify(&*journal, |_| {}).await.unwrap();
    assert_eq!((found.events, found.missing), (0, Some(Missing { first: 1, last: 19 })));
    let empty = Site::sqlite().await;
    assert!(verify(&*empty.open().await, |_| {}).await.unwrap().is_whole());
}

/// As a store does that is away for a moment, or full: what comes behind the refused event must not get in before it.
#[tokio::test]
async fn what_a_store_refuses_leaves_no_hole() {
    let (first, second) = (Site::sqlite().await, Site::sqlite().await);
    let (from, to) = (filled(&first, 40).await, second.open().await);
    let refused = read_everything(&*from).await[49].envelope.id;
    let trigger = format!(
        "create trigger refusing before insert on journal_event when new.id = '{refused}'
         begin select raise(abort, 'not now'); end"
    );
    meddle(&second, trigger).await;
    let failed = copy(&*from, &*to, |_| {}).await;
    assert!(matches!(failed, Err(CopyError::Append { .. })), "{failed:?}");
    is_beginning(&*from, &*to).await;
    meddle(&second, "drop trigger refusing".to_owned()).await;
    copy(&*from, &*to, |_| {}).await.unwrap();
    same(&*from, &*to).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_touched_line_leaves_no_hole() {
    let first = Site::sqlite().await;
    let from = filled(&first, 40).await;
    let text = String::from_utf8(text_of(&*from).await).unwrap();
    let touch = |(number, line): (usize, &str)| match number {
        30 => format!("{}\n", line.replacen("\"data\":{\"n\":", "\"data\":{\"n\":8", 1)),
        _ => format!("{line}\n"),
    };
    let touched: String = text.lines().enumerate().map(touch).collect();
    assert_ne!(touched, text);
    for site in [Site::sqlite().await, Site::postgres().await, Site::esdb().await] {
        let to = site.open().await;
        let refused = import(&*to, &mut touched.as_bytes(), |_| {}).await;
        let at = matches!(refused, Err(ImportError::Copy(CopyError::Append { order: 30, .. })));
        assert!(at, "{refused:?}");
        is_beginning(&*from, &*to).await;
        import(&*to, &mut text.as_bytes(), |_| {}).await.unwrap();
        same(&*from, &*to).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_files_is_brought_in_one_by_one() {
    // Orders differ on the two sides, so only the events themselves say where a file belongs.
    let there = (Site::sqlite().await, Site::esdb().await);
    let back = (Site::esdb().await, Site::sqlite().await);
    for (first, second) in [there, back] {
        let from = filled(&first, 10).await;
        let (one, ended) = exported(&*from, 0).await;
        assert_eq!((ended.events, ended.last), (19, from.head().await.unwrap()));
        filled(&first, 10).await;
        let (two, end) = exported(&*from, ended.last).await;
        assert_eq!((end.events, end.last), (19, from.head().await.unwrap()));
        let (nothing_new, still) = exported(&*from, end.last).await;
        assert_eq!(still, Exported { events: 0, last: end.last });

        let to = second.open().await;
        for early in [&two, &nothing_new] {
            let refused = import(&*to, &mut early.as_slice(), |_| {}).await;
            assert!(matches!(refused, Err(ImportError::NotThere { .. })), "{refused:?}");
        }
        assert_eq!(to.head().await, Ok(0));
        import(&*to, &mut one.as_slice(), |_| {}).await.unwrap();
        let refused = import(&*to, &mut nothing_new.as_slice(), |_| {}).await;
        assert!(matches!(refused, Err(ImportError::NotThere { .. })), "{refused:?}");

        // Broken off, made again, and made once more.
        import(&*to, &mut beginning(&two, 7).as_slice(), |_| {}).await.unwrap();
        for (copied, present) in [(12, 7), (0, 19)] {
            let (journal, done) = import(&*to, &mut two.as_slice(), |_| {}).await.unwrap();
            assert_eq!((journal, done.copied, done.present), (from.id(), copied, present));
        }
        let (_, done) = import(&*to, &mut nothing_new.as_slice(), |_| {}).await.unwrap();
        assert_eq!((done.copied, done.present), (0, 0));
        assert_eq!(bodies(&read_everything(&*from).await), bodies(&read_everything(&*to).await));
        assert!(verify(&*to, |_| {}).await.unwrap().is_whole());
    }
}

#[tokio::test]
async fn a_file_of_a_chain_goes_nowhere_else() {
    let (first, second) = (Site::sqlite().await, Site::sqlite().await);
    let from = filled(&first, 10).await;
    let (one, ended) = exported(&*from, 0).await;
    filled(&first, 10).await;
    let (two, _) = exported(&*from, ended.last).await;
    // Something else was written behind the event that the file goes on from.
    let to = second.open().await;
    import(&*to, &mut one.as_slice(), |_| {}).await.unwrap();
    filled(&second, 1).await;
    let refused = import(&*to, &mut two.as_slice(), |_| {}).await;
    let different = matches!(refused, Err(ImportError::Copy(CopyError::Different { order: 20 })));
    assert!(different, "{refused:?}");

    // The head of an earlier release, which does not say which event it is.
    let head = format!(
        "{{\"format\":\"dcm-journal\",\"version\":1,\"journal\":\"{}\",\"after\":{}}}\n",
        from.id(),
        ended.last
    );
    let refused = import(&*to, &mut head.as_bytes(), |_| {}).await;
    assert!(matches!(refused, Err(ImportError::Partial { after: 19 })), "{refused:?}");

    // There is nothing to go on from.
    let mut text = Vec::new();
    let refused = export(&*from, 39, &mut text, |_| {}).await;
    assert!(matches!(refused, Err(ExportError::NoEvent { order: 39 })), "{refused:?}");
    assert!(text.is_empty());
}
