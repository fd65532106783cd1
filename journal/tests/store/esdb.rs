//! What only an event store can do to a journal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dcm_esdb_double::{Fault, Node};
use dcm_journal::conformance::{CASES, Effort, Outcome, measure};
use dcm_journal::store::{AppendError, Journal, OpenError, ReadError, Scratch, open};
use dcm_schemas::Envelope;
use tempfile::TempDir;
use tonic::transport::Identity;

use crate::events::{check_whole, following, new_stream, read_everything, with_data};

/// No event store has anything there.
fn nowhere() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn open_at(url: &str) -> Arc<dyn Journal> {
    open(url, nowhere().path()).await.unwrap()
}

async fn refusal(url: &str) -> OpenError {
    open(url, nowhere().path()).await.err().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_is_cleared_up() {
    let node = Node::start();
    let journal = open_at(&node.url()).await;
    let (stream, mut last) = (new_stream(), None);
    let faults = [
        Fault::AnswerLost,
        Fault::RequestLost,
        Fault::AnswerEmpty,
        Fault::TimedOut,
        Fault::NoPosition,
        Fault::StreamEnded,
        Fault::AnswerLost,
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        node.faults.of_appends([fault]);
        let (expected, events) = following(&stream, last.as_ref(), 2);
        last = events.last().cloned();
        let answer = journal.append(&stream, expected, events).await.unwrap();
        assert_eq!(answer.revision, 2 * number as u64 + 1, "{fault:?}");
        assert_eq!(journal.head().await, Ok(answer.last.order), "{fault:?}");
        assert!(node.faults.are_over());
    }
    // Lost again and again, and other faults in between.
    node.faults.of_appends([Fault::RequestLost, Fault::TimedOut]);
    let (expected, events) = following(&stream, last.as_ref(), 2);
    journal.append(&stream, expected, events).await.unwrap();
    let streams = check_whole(&read_everything(&*journal).await).unwrap();
    assert_eq!(streams[stream.as_str()].len(), 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_lost_before_somebody_elses_append_is_found() {
    let node = Node::start();
    let (ours, theirs) = (open_at(&node.url()).await, open_at(&node.url()).await);
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 2);
    let (later, more) = following(&stream, events.last(), 1);
    node.faults.of_appends([Fault::AnswerKept]);
    let first = {
        let (stream, events) = (stream.clone(), events.clone());
        tokio::spawn(async move { ours.append(&stream, expected, events).await })
    };
    // Theirs can only succeed once ours is stored, and comes before ours is asked for again.
    let deadline = Instant::now() + Duration::from_secs(5);
    while theirs.append(&stream, later, more.clone()).await.is_err() {
        assert!(Instant::now() < deadline);
    }
    // It is never answered; the next call, with the same ids and expectation, tells.
    assert!(matches!(first.await.unwrap(), Err(AppendError::Unavailable(_))));
    let answer = theirs.append(&stream, expected, events).await.unwrap();
    assert_eq!(answer.revision, 1);
    assert_eq!(theirs.read_all(0, 10).await.unwrap()[1].position, answer.last);
    assert_eq!(check_whole(&read_everything(&*theirs).await).unwrap()[stream.as_str()].len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_answering_is_unavailable_soon() {
    let node = Node::start();
    let journal = open_at(&node.url()).await;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 1);
    node.faults.stall(true);
    let started = Instant::now();
    let (append, read, head) = tokio::join!(
        journal.append(&stream, expected, events.clone()),
        journal.read_all(0, 1),
        journal.head()
    );
    assert!(matches!(append, Err(AppendError::Unavailable(_))), "{append:?}");
    assert!(matches!(read, Err(ReadError::Unavailable(_))) && head.is_err());
    assert!(started.elapsed() < Duration::from_secs(11));

    node.faults.stall(false);
    assert_eq!(journal.append(&stream, expected, events).await.unwrap().revision, 0);
    assert_eq!(read_everything(&*journal).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_away_is_used_again() {
    let mut node = Node::start();
    let url = node.url();
    node.stop();
    assert!(matches!(refusal(&url).await, OpenError::Unusable { .. }));
    node.restart();
    let journal = open_at(&url).await;
    let id = journal.id();
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 1);
    node.stop();
    let append = journal.append(&stream, expected, events.clone()).await;
    assert!(matches!(append, Err(AppendError::Unavailable(_))), "{append:?}");
    assert!(matches!(journal.read_stream(&stream, 0, 1).await, Err(ReadError::Unavailable(_))));
    node.restart();
    assert_eq!(journal.append(&stream, expected, events).await.unwrap().revision, 0);
    assert_eq!(open_at(&url).await.id(), id);
}

/// Appenders that go on for ever so many appends, each event once.
async fn appenders(journal: &Arc<dyn Journal>, appends: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let appender = |journal: Arc<dyn Journal>| async move {
        let (stream, mut last) = (new_stream(), None::<Envelope>);
        for _ in 0..appends {
            let (expected, events) = following(&stream, last.as_ref(), 2);
            last = events.last().cloned();
            while let Err(error) = journal.append(&stream, expected, events.clone()).await {
                assert!(matches!(error, AppendError::Unavailable(_)), "{error}");
            }
        }
    };
    (0..4).map(|_| tokio::spawn(appender(Arc::clone(journal)))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_lose_and_double_nothing() {
    let mut node = Node::start();
    let journal = open_at(&node.url()).await;
    let appenders = appenders(&journal, 100).await;
    let mut restarts = 0;
    while !appenders.iter().all(tokio::task::JoinHandle::is_finished) {
        node.restart();
        restarts += 1;
        let mut appended = journal.appended();
        let now = *appended.borrow_and_update();
        let further = appended.wait_for(|order| *order > now + 20_000);
        let _ = tokio::time::timeout(Duration::from_secs(2), further).await;
    }
    for appender in appenders {
        appender.await.unwrap();
    }
    assert!(restarts > 2, "{restarts}");
    let streams = check_whole(&read_everything(&*journal).await).unwrap();
    assert!(streams.len() == 4 && streams.values().all(|events| events.len() == 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_followed() {
    let mut nodes = Node::start_three();
    // One address of a follower: it names the leader, which is used from then on.
    let journal = open_at(&nodes[1].url()).await;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 1);
    journal.append(&stream, expected, events.clone()).await.unwrap();
    let before = nodes[1].faults.calls();
    let (expected, more) = following(&stream, events.last(), 1);
    journal.append(&stream, expected, more.clone()).await.unwrap();
    assert_eq!(nodes[1].faults.calls(), before);

    nodes[2].lead();
    let (expected, events) = following(&stream, more.last(), 1);
    journal.append(&stream, expected, events).await.unwrap();
    nodes[0].stop();
    assert_eq!(read_everything(&*journal).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_found_by_any_of_its_nodes() {
    let mut nodes = Node::start_three();
    let hosts = nodes.each_ref().map(|node| node.address.to_string()).join(",");
    let cluster = open_at(&format!("esdb://{hosts}?tls=false")).await;
    let discovered = open_at(&format!("esdb+discover://{}?tls=false", nodes[2].address)).await;
    assert_eq!(cluster.id(), discovered.id());
    assert!(nodes[1].faults.calls() == 0, "the leader is asked by its own address");

    let appenders = appenders(&cluster, 50).await;
    nodes[0].stop();
    nodes[1].lead();
    for appender in appenders {
        appender.await.unwrap();
    }
    let streams = check_whole(&read_everything(&*cluster).await).unwrap();
    assert!(streams.len() == 4 && streams.values().all(|events| events.len() == 100));
}

#[tokio::test]
async fn credentials_are_sent_and_not_shown() {
    let node = Node::start();
    node.faults.demand("dcm:hunter2");
    let address = node.address;
    open_at(&format!("esdb://dcm:hunter2@{address}?tls=false")).await;
    let error = refusal(&format!("esdb://dcm:hunter3@{address}?tls=false")).await;
    let text = format!("{error} {error:?}");
    assert!(text.contains("$admins") && !text.contains("hunter"), "{text}");
    refusal(&format!("esdb://{address}?tls=false")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_checked() {
    // Somebody else may have installed it: tests share a process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = nowhere();
    let (named, its_file) = certified(&dir, &["localhost"]);
    let (node, file) = certified(&dir, &["localhost", "127.0.0.1"]);
    let port = node.address.port();
    open_at(&format!("esdb://localhost:{port}?tlsCaFile={file}")).await;
    open_at(&format!("esdb+discover://localhost:{port}?tls=true&tlsCaFile={file}")).await;
    // Another name than the certificate's; nobody vouches for it; somebody else does; no TLS at all.
    refusal(&format!("esdb://{}?tlsCaFile={its_file}", named.address)).await;
    refusal(&format!("esdb://localhost:{port}")).await;
    refusal(&format!("esdb://localhost:{port}?tlsCaFile={its_file}")).await;
    refusal(&format!("esdb://localhost:{port}?tls=false")).await;
    refusal(&format!("esdb://localhost:{port}?tlsCaFile={}", dir.path().join("absent").display())).await;
}

/// A node with a certificate for these names, and the file with that.
fn certified(dir: &TempDir, names: &[&str]) -> (Node, String) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(names.clone()).unwrap();
    let node = Node::start_tls(Identity::from_pem(made.cert.pem(), made.signing_key.serialize_pem()));
    let file = dir.path().join(format!("{}.pem", names.len()));
    std::fs::write(&file, made.cert.pem()).unwrap();
    (node, file.display().to_string())
}

#[tokio::test]
async fn what_the_store_does_not_take_or_give_is_said() {
    let node = Node::start();
    let journal = open_at(&node.url()).await;
    let stream = new_stream();
    let large = vec![serde_json::json!({"large": "x".repeat(1 << 20)})];
    let (expected, events) = with_data(&stream, None, large);
    let answer = journal.append(&stream, expected, events).await;
    assert!(matches!(answer, Err(AppendError::Invalid(_))), "{answer:?}");
    // A stream that reading all events would not find.
    let foreign = "somebodys-stream".parse().unwrap();
    let (expected, events) = following(&foreign, None, 1);
    let answer = journal.append(&foreign, expected, events).await;
    assert!(matches!(answer, Err(AppendError::Invalid(_))), "{answer:?}");

    let (expected, events) = following(&stream, None, 1);
    journal.append(&stream, expected, events.clone()).await.unwrap();
    node.faults.hide_stream_positions();
    let read = journal.read_stream(&stream, 0, 1).await;
    assert!(matches!(&read, Err(ReadError::Unavailable(why)) if why.contains("22.10")), "{read:?}");

    node.store.tombstone(stream.as_str());
    let (expected, events) = following(&stream, events.last(), 1);
    let answer = journal.append(&stream, expected, events).await;
    assert!(matches!(answer, Err(AppendError::Corrupt(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_write_is_passed_over() {
    let node = Node::start();
    node.store.write_foreign(3000);
    let journal = open_at(&node.url()).await;
    assert_eq!(journal.head().await, Ok(0));
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 1);
    let answer = journal.append(&stream, expected, events).await.unwrap();
    let order = answer.last.order;
    for _ in 0..3 {
        node.store.write_foreign(3000);
        assert_eq!(journal.head().await, Ok(order));
        assert_eq!(journal.read_all(order, 10).await, Ok(vec![]));
        assert_eq!(journal.read_all(0, 10).await.unwrap().len(), 1);
    }
    let other = new_stream();
    let (expected, events) = following(&other, None, 1);
    let later = open_at(&node.url()).await.append(&other, expected, events).await.unwrap();
    assert_eq!(journal.read_all(order, 10).await.unwrap()[0].position, later.last);
    assert_eq!(journal.head().await, Ok(later.last.order));
}

#[tokio::test]
async fn a_read_that_ends_early_is_gone_on_with() {
    let node = Node::start();
    let journal = open_at(&node.url()).await;
    for _ in 0..10 {
        let stream = new_stream();
        let (expected, events) = following(&stream, None, 1);
        journal.append(&stream, expected, events).await.unwrap();
    }
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 6);
    let last = journal.append(&stream, expected, events).await.unwrap().last.order;
    node.faults.cut_read(4);
    let all = journal.read_all(0, 100).await.unwrap();
    assert_eq!(all.len(), 16);
    node.faults.cut_read(2);
    assert_eq!(journal.read_all(all[3].position.order, 100).await.unwrap(), all[4..]);
    node.faults.cut_read(3);
    assert_eq!(journal.read_all(0, 7).await.unwrap(), all[..7]);
    node.faults.cut_read(2);
    assert_eq!(journal.read_stream(&stream, 1, 100).await.unwrap().len(), 5);
    node.faults.cut_read(2);
    assert_eq!(journal.read_back(last, 9).await.unwrap(), all[7..]);
}

#[tokio::test]
async fn the_end_behind_foreign_events_is_found_though_a_read_ends_early() {
    let node = Node::start();
    let journal = open_at(&node.url()).await;
    for _ in 0..4 {
        let stream = new_stream();
        let (expected, events) = following(&stream, None, 1);
        journal.append(&stream, expected, events).await.unwrap();
    }
    assert!(journal.head().await.unwrap() > 0);
    let other = open_at(&node.url()).await;
    for _ in 0..4 {
        let stream = new_stream();
        let (expected, events) = following(&stream, None, 1);
        other.append(&stream, expected, events).await.unwrap();
    }
    node.store.write_foreign(3);
    node.faults.cut_read(2);
    let head = journal.head().await.unwrap();
    let all = other.read_all(0, 100).await.unwrap();
    assert_eq!(Some(head), all.last().map(|event| event.position.order));
    assert_eq!(journal.read_all(all[3].position.order, 100).await.unwrap(), all[4..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trying_a_store_out_leaves_no_trace_in_its_journal() {
    let node = Node::start();
    let (url, dir) = (node.url(), nowhere());
    let journal = open_at(&url).await;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 2);
    let written = journal.append(&stream, expected, events).await.unwrap();
    let case = CASES.iter().find(|case| case.name == "concurrent_appenders_on_one_stream").unwrap();
    let scratch = Arc::new(Scratch::create(&url, dir.path()).await.unwrap());
    let place: Arc<dyn dcm_journal::conformance::Place> = Arc::clone(&scratch) as _;
    assert_eq!(case.run(place).await, Outcome::Passed);
    let effort = Effort { appending: Duration::from_millis(300), followed: 50 };
    let rates = measure(&*scratch, effort).await.unwrap();
    // How many they are, `tests/bench event-store` shows beside what the same connection can do.
    assert!(rates.sequential > 0.0, "{rates:?}");
    assert_ne!(scratch.open().await.unwrap().id(), journal.id());
    assert_eq!(journal.read_all(0, 10).await.unwrap().len(), 2);
    assert_eq!(journal.head().await, Ok(written.last.order));
    Arc::into_inner(scratch).unwrap().remove().await.unwrap();
    node.store.scavenge();
    let left = node.store.all().into_iter().filter(|entry| entry.stream.starts_with("dcmscratch"));
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn a_stream_that_others_cut_or_deleted_is_corrupt() {
    let node = Node::start();
    let journal = open_at(&node.url()).await;
    let (cut, deleted) = (new_stream(), new_stream());
    for stream in [&cut, &deleted] {
        let (expected, events) = following(stream, None, 5);
        journal.append(stream, expected, events).await.unwrap();
    }
    node.store.keep_last(cut.as_str(), 2);
    let read = journal.read_stream(&cut, 0, 10).await;
    assert!(matches!(read, Err(ReadError::Corrupt { .. })), "{read:?}");
    assert_eq!(journal.read_stream(&cut, 3, 10).await.unwrap().len(), 2);

    // A deleted one is none, and yet goes on where it was: whoever begins it anew is told.
    node.store.delete(deleted.as_str());
    assert_eq!(journal.read_stream(&deleted, 0, 10).await, Ok(vec![]));
    let (expected, events) = following(&deleted, None, 1);
    let answer = journal.append(&deleted, expected, events).await;
    assert!(matches!(answer, Err(AppendError::Corrupt(_))), "{answer:?}");
    let read = journal.read_all(0, 100).await;
    assert!(matches!(read, Err(ReadError::Corrupt { .. })), "{read:?}");
    node.store.scavenge();
    let error = dcm_journal::transfer::verify(&*journal, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("revision"), "{error}");
}

#[tokio::test]
async fn slow_answers_are_waited_for() {
    let node = Node::start();
    let journal = open_at(&node.url()).await;
    node.faults.slow_down(Duration::from_millis(300));
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 3);
    let answer = journal.append(&stream, expected, events).await.unwrap();
    assert_eq!(journal.head().await, Ok(answer.last.order));
    assert_eq!(journal.read_all(0, 10).await.unwrap().len(), 3);
}
