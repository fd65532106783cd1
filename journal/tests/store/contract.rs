//! The contract.

use dcm_journal::store::{AppendError, Expected, OpenError, ReadError, open};
use dcm_schemas::StreamId;
use futures::future::join_all;
use serde_json::json;

use crate::{
    events::{check_whole, following, new_stream, read_everything, with_data},
    site::Site,
};

macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::site::Site::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::site::Site::postgres().await).await;
            })*
        }
    };
}

on_both_engines![
    appends_in_order_and_reads_back,
    concurrent_appenders_on_many_streams,
    concurrent_appenders_on_one_stream,
    a_conflict_says_where_the_stream_is,
    one_conflict_does_not_abort_the_others,
    a_repeated_append_gives_the_first_answer,
    an_id_is_used_once,
    a_dropped_caller_harms_nobody,
    refuses_events_that_do_not_follow,
    keeps_unicode_and_large_data,
    catches_one_altered_byte,
    catches_a_missing_event,
    the_id_is_fixed_at_creation,
    refuses_another_format,
];

async fn appends_in_order_and_reads_back(site: Site) {
    let journal = site.open().await;
    let mut appended = journal.appended();
    assert_eq!((journal.head().await, *appended.borrow_and_update()), (Ok(0), 0));
    let stream = new_stream();
    assert_eq!(journal.read_stream(&stream, 0, 10).await, Ok(vec![]));

    let (expected, events) = following(&stream, None, 3);
    let answer = journal.append(&stream, expected, events.clone()).await.unwrap();
    assert_eq!((answer.last.journal, answer.last.order, answer.revision), (journal.id(), 3, 2));
    appended.changed().await.unwrap();
    assert_eq!(*appended.borrow_and_update(), 3);

    let read = journal.read_stream(&stream, 1, 10).await.unwrap();
    assert_eq!(read.iter().map(|event| event.envelope.clone()).collect::<Vec<_>>(), events[1..]);
    assert_eq!(read[0].body, events[1].body());
    assert_eq!(journal.read_stream(&stream, 0, 2).await.unwrap().len(), 2);
    assert_eq!(journal.read_all(1, 1).await.unwrap(), read[..1]);
    assert_eq!(journal.read_all(3, 10).await, Ok(vec![]));
    assert_eq!(journal.head().await, Ok(3));
}

async fn concurrent_appenders_on_many_streams(site: Site) {
    let journal = site.open().await;
    let appenders = (0..16).map(|_| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let (stream, mut last) = (new_stream(), None);
            for _ in 0..20 {
                let (expected, events) = following(&stream, last.as_ref(), 2);
                last = events.last().cloned();
                journal.append(&stream, expected, events).await.unwrap();
            }
        })
    });
    for outcome in join_all(appenders).await {
        outcome.unwrap();
    }
    let streams = check_whole(&read_everything(&*journal).await).unwrap();
    assert_eq!(streams.len(), 16);
    assert!(streams.values().all(|events| events.len() == 40));
}

async fn concurrent_appenders_on_one_stream(site: Site) {
    let stream: StreamId = "directory-subcloud".parse().unwrap();
    let adapters = [site.open().await, site.open().await];
    let appenders = (0..8).map(|n| {
        let (journal, stream) = (adapters[n % 2].clone(), stream.clone());
        tokio::spawn(async move {
            let mut won = Vec::new();
            while won.len() < 10 {
                let last = journal.read_stream(&stream, 0, 1000).await.unwrap().pop();
                let (expected, events) = following(&stream, last.as_ref().map(|last| &last.envelope), 2);
                let id = events[0].id;
                match journal.append(&stream, expected, events).await {
                    Ok(answer) => won.push((id, answer.revision - 1)),
                    Err(AppendError::Conflict { actual }) => assert!(actual > expected.last()),
                    Err(error) => panic!("{error}"),
                }
            }
            won
        })
    });
    let won = join_all(appenders).await.into_iter().flat_map(Result::unwrap);
    let streams = check_whole(&read_everything(&*adapters[0]).await).unwrap();
    let events = &streams[stream.as_str()];
    assert_eq!(events.len(), 160);
    for (id, revision) in won {
        assert_eq!(events[usize::try_from(revision).unwrap()].envelope.id, id);
    }
}

async fn a_conflict_says_where_the_stream_is(site: Site) {
    let journal = site.open().await;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 3);
    let early = following(&stream, Some(&events[1]), 1);
    assert_eq!(
        journal.append(&stream, early.0, early.1.clone()).await,
        Err(AppendError::Conflict { actual: None })
    );
    journal.append(&stream, expected, events).await.unwrap();
    for (expected, events) in [following(&stream, None, 1), early] {
        let answer = journal.append(&stream, expected, events).await;
        assert_eq!(answer, Err(AppendError::Conflict { actual: Some(2) }));
    }
    assert_eq!(journal.head().await, Ok(3));
}

async fn one_conflict_does_not_abort_the_others(site: Site) {
    let journal = site.open().await;
    let contested = new_stream();
    let appends = (0..100).map(|n| {
        let stream = if n % 2 == 0 { contested.clone() } else { new_stream() };
        let (expected, events) = following(&stream, None, 1);
        let journal = journal.clone();
        async move { (n, journal.append(&stream, expected, events).await) }
    });
    let mut winners = 0;
    for (n, answer) in join_all(appends).await {
        match answer {
            Ok(_) => winners += 1,
            Err(AppendError::Conflict { actual: Some(0) }) if n % 2 == 0 => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(winners, 51);
    assert_eq!(check_whole(&read_everything(&*journal).await).unwrap().len(), 51);
}

async fn a_repeated_append_gives_the_first_answer(site: Site) {
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 2);
    let journal = site.open().await;
    let first = journal.append(&stream, expected, events.clone()).await.unwrap();
    let (later, more) = following(&stream, events.last(), 1);
    journal.append(&stream, later, more).await.unwrap();
    drop(journal);

    let journal = site.open().await;
    for _ in 0..2 {
        assert_eq!(journal.append(&stream, expected, events.clone()).await, Ok(first));
    }
    assert_eq!(journal.head().await, Ok(3));
}

async fn an_id_is_used_once(site: Site) {
    let journal = site.open().await;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 1);
    journal.append(&stream, expected, events.clone()).await.unwrap();
    let id = events[0].id;

    let (expected, mut again) = following(&stream, events.last(), 1);
    again[0].id = id;
    let again = vec![again.remove(0).seal(Some(&events[0].hash))];
    assert_eq!(journal.append(&stream, expected, again).await, Err(AppendError::IdTaken { id }));

    let other = new_stream();
    let (expected, mut elsewhere) = following(&other, None, 1);
    elsewhere[0].id = id;
    let elsewhere = vec![elsewhere.remove(0).seal(None)];
    assert_eq!(journal.append(&other, expected, elsewhere).await, Err(AppendError::IdTaken { id }));
    assert_eq!(journal.head().await, Ok(1));
}

async fn a_dropped_caller_harms_nobody(site: Site) {
    let journal = site.open().await;
    let mut dropped = Vec::new();
    for _ in 0..50 {
        let stream = new_stream();
        let (expected, events) = following(&stream, None, 3);
        dropped.push(stream.clone());
        let (gone, stays) = (journal.clone(), journal.clone());
        let caller = tokio::spawn(async move { gone.append(&stream, expected, events).await });
        let patient = new_stream();
        let (expected, events) = following(&patient, None, 1);
        let (_, answer) = tokio::join!(async { caller.abort() }, stays.append(&patient, expected, events));
        answer.unwrap();
    }
    let streams = check_whole(&read_everything(&*journal).await).unwrap();
    for stream in dropped {
        let written = streams.get(stream.as_str()).map_or(0, Vec::len);
        assert!(written == 0 || written == 3, "{written} events of an append of three");
    }
}

async fn refuses_events_that_do_not_follow(site: Site) {
    let journal = site.open().await;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 2);
    let mut unsealed = events.clone();
    unsealed[0].data = json!("another");
    let wrong = [
        (expected, vec![]),
        (expected, events[1..].to_vec()),
        (Expected::Revision(0), events.clone()),
        (expected, vec![events[0].clone(), events[0].clone()]),
        (expected, unsealed),
    ];
    for (expected, events) in wrong {
        let answer = journal.append(&stream, expected, events).await;
        assert!(matches!(answer, Err(AppendError::Invalid(_))), "{answer:?}");
    }
    let elsewhere = journal.append(&new_stream(), expected, events).await;
    assert!(matches!(elsewhere, Err(AppendError::Invalid(_))), "{elsewhere:?}");
    assert_eq!(journal.head().await, Ok(0));
}

async fn keeps_unicode_and_large_data(site: Site) {
    let journal = site.open().await;
    let stream = new_stream();
    let data = vec![
        json!({"\u{0}": "\u{0}\u{1}\u{7f}\u{2028}\"\\/é\u{10ffff}", "z": 1.5e-7, "a": [null, true, -0.0, 1e300]}),
        json!({"large": "é\n".repeat((1 << 20) / 3)}),
    ];
    let (expected, events) = with_data(&stream, None, data);
    journal.append(&stream, expected, events.clone()).await.unwrap();
    let read = read_everything(&*journal).await;
    assert_eq!(
        read.iter().map(|event| &event.envelope).collect::<Vec<_>>(),
        events.iter().collect::<Vec<_>>()
    );
    assert!(check_whole(&read).is_ok());
}

async fn catches_one_altered_byte(site: Site) {
    let journal = site.open().await;
    let stream = new_stream();
    let data = vec![json!({"name": "subcloud1"}), json!({"name": "other"})];
    let (expected, events) = with_data(&stream, None, data);
    journal.append(&stream, expected, events).await.unwrap();
    assert!(check_whole(&read_everything(&*journal).await).is_ok());
    let altered = "update journal_event set body = replace(body, 'subcloud1', 'subcloud2') where ord = 1";
    assert_eq!(site.tamper(altered).await, 1);
    assert!(check_whole(&read_everything(&*journal).await).is_err());
}

async fn catches_a_missing_event(site: Site) {
    let journal = site.open().await;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 3);
    journal.append(&stream, expected, events).await.unwrap();
    assert_eq!(site.tamper("delete from journal_event where ord = 2").await, 1);
    assert!(matches!(journal.read_all(0, 10).await, Err(ReadError::Corrupt { order: 2, .. })));
    assert!(matches!(journal.read_stream(&stream, 0, 10).await, Err(ReadError::Corrupt { order: 3, .. })));
}

async fn the_id_is_fixed_at_creation(site: Site) {
    let (first, second) = tokio::join!(site.open(), site.open());
    assert_eq!(first.id(), second.id());
    let id = first.id();
    drop((first, second));
    assert_eq!(site.open().await.id(), id);
    assert_ne!(Site::sqlite().await.open().await.id(), id);
}

async fn refuses_another_format(site: Site) {
    drop(site.open().await);
    assert_eq!(site.tamper("update journal_meta set format = 99").await, 1);
    let url = site.server.as_ref().map_or("embedded:".to_owned(), |server| server.url(server.cluster.port));
    assert!(matches!(open(&url, site.dir.path()).await, Err(OpenError::Format { found: 99, .. })));
}
