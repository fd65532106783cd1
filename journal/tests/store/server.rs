//! What only a server can do to a journal.

use std::time::{Duration, Instant};

use dcm_journal::store::{AppendError, OpenError, open};
use sqlx::Connection;

use crate::{
    events::{check_whole, following, new_stream, read_everything},
    proxy::{Mode, Proxy},
    site::Site,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_a_gap_while_a_writer_is_paused() {
    let site = Site::postgres().await;
    let journal = site.open().await;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 2);
    journal.append(&stream, expected, events.clone()).await.unwrap();

    // A writer of another process stops between its writes and its commit.
    let mut paused = site.server.as_ref().unwrap().connect().await;
    let mut transaction = paused.begin().await.unwrap();
    sqlx::query("select head from journal_meta for update").execute(&mut *transaction).await.unwrap();
    let (_, theirs) = following(&new_stream(), None, 1);
    sqlx::query("insert into journal_event values (3, $1, 0, $2, 'Tested', 0, $3, $4)")
        .bind(theirs[0].stream.as_str())
        .bind(theirs[0].id.to_string())
        .bind(&theirs[0].hash)
        .bind(theirs[0].body())
        .execute(&mut *transaction)
        .await
        .unwrap();
    sqlx::query("update journal_meta set head = 3").execute(&mut *transaction).await.unwrap();

    let ours = {
        let (journal, stream) = (journal.clone(), stream.clone());
        let (expected, events) = following(&stream, events.last(), 1);
        tokio::spawn(async move { journal.append(&stream, expected, events).await })
    };
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        assert_eq!(journal.read_all(0, 10).await.unwrap().len(), 2);
        assert_eq!(journal.head().await, Ok(2));
    }
    assert!(!ours.is_finished());
    transaction.commit().await.unwrap();
    assert_eq!(ours.await.unwrap().unwrap().last.order, 4);
    check_whole(&read_everything(&*journal).await).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_lost_after_the_commit_appends_once() {
    let site = Site::postgres().await;
    let server = site.server.as_ref().unwrap();
    let proxy = Proxy::before(server.cluster.port).await;
    let journal = open(&server.url(proxy.port), site.dir.path()).await.unwrap();
    let (stream, mut last) = (new_stream(), None);
    for order in [2, 4, 6] {
        proxy.mode.send_replace(Mode::LoseCommitAnswer);
        let (expected, events) = following(&stream, last.as_ref(), 2);
        last = events.last().cloned();
        let answer = journal.append(&stream, expected, events).await.unwrap();
        assert_eq!(answer.last.order, order);
        assert!(*proxy.mode.borrow() == Mode::Pass, "no answer was lost");
    }
    assert_eq!(check_whole(&read_everything(&*journal).await).unwrap()[stream.as_str()].len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_answering_is_unavailable_soon() {
    let site = Site::postgres().await;
    let server = site.server.as_ref().unwrap();
    let proxy = Proxy::before(server.cluster.port).await;
    let journal = open(&server.url(proxy.port), site.dir.path()).await.unwrap();
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 1);
    proxy.mode.send_replace(Mode::Stall);
    let started = Instant::now();
    let (append, read) =
        tokio::join!(journal.append(&stream, expected, events.clone()), journal.read_all(0, 1));
    assert!(matches!(append, Err(AppendError::Unavailable(_))), "{append:?}");
    assert!(read.is_err());
    assert!(started.elapsed() < Duration::from_secs(11));

    proxy.mode.send_replace(Mode::Pass);
    let answer = journal.append(&stream, expected, events).await.unwrap();
    assert_eq!((answer.last.order, answer.revision), (1, 0));
    assert_eq!(read_everything(&*journal).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_ended_by_the_server_lose_and_double_nothing() {
    let site = Site::postgres().await;
    let journal = site.open().await;
    let appenders: Vec<_> = (0..4)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let (stream, mut last) = (new_stream(), None);
                for _ in 0..100 {
                    let (expected, events) = following(&stream, last.as_ref(), 2);
                    last = events.last().cloned();
                    journal.append(&stream, expected, events).await.unwrap();
                }
            })
        })
        .collect();
    let mut administrator = site.server.as_ref().unwrap().connect().await;
    while !appenders.iter().all(tokio::task::JoinHandle::is_finished) {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()";
        sqlx::query(end).execute(&mut administrator).await.unwrap();
        let head = journal.head().await.unwrap_or_default();
        let mut appended = journal.appended();
        let _ = tokio::time::timeout(Duration::from_secs(1), appended.wait_for(|now| *now > head + 20)).await;
    }
    for appender in appenders {
        appender.await.unwrap();
    }
    let streams = check_whole(&read_everything(&*journal).await).unwrap();
    assert!(streams.len() == 4 && streams.values().all(|events| events.len() == 200));
}

#[tokio::test]
async fn an_unusable_database_says_what_to_do_and_no_password() {
    let site = Site::postgres().await;
    let port = site.server.as_ref().unwrap().cluster.port;
    let unknown = format!("postgres://dcm:hunter2@127.0.0.1:{port}/absent");
    let nobody = format!("postgres://nobody:hunter2@127.0.0.1:{port}/postgres");
    let unreachable = "postgres://dcm:hunter2@127.0.0.1:1/postgres".to_owned();
    for (url, advice) in [(unknown, "createdb"), (nobody, "password"), (unreachable, "server runs")] {
        let error = open(&url, site.dir.path()).await.err().unwrap();
        let text = format!("{error} {error:?}");
        assert!(text.contains(advice) && !text.contains("hunter2"), "{text}");
    }
    for url in ["", "embedded", "embedded:x", "kurrentdb://localhost", "postgres", "postgres://[:hunter2"] {
        let error = open(url, site.dir.path()).await.err().unwrap();
        assert!(matches!(error, OpenError::Url), "{url}: {error:?}");
    }
}
