//! The cases.

use std::sync::Arc;
use std::time::Duration;

use dcm_schemas::{Envelope, StreamId};
use futures::future::join_all;
use serde_json::json;

use super::events::{check_whole, following, new_stream, read_everything, with_data};
use super::{Broken, Case, Place, Verdict};
use crate::store::{Append, AppendError, Expected, NotAppended};

/// Lists cases under the names of their functions.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// Every case; each wants a place of its own.
        pub const CASES: &[Case] = &[$(Case { name: stringify!($name), run: |place| Box::pin($name(place)) }),*];
    };
}

cases![
    appends_in_order_and_reads_back,
    reads_backwards_and_counts,
    concurrent_appenders_on_many_streams,
    concurrent_appenders_on_one_stream,
    a_follower_sees_everything_once_and_in_order,
    a_conflict_says_where_the_stream_is,
    one_conflict_does_not_abort_the_others,
    a_repeated_append_gives_the_first_answer,
    a_repetition_of_a_part_is_a_conflict,
    appends_made_together_end_before_the_first_refused,
    an_id_is_used_once,
    a_dropped_caller_harms_nobody,
    refuses_events_that_do_not_follow,
    keeps_unicode_and_large_data,
    the_id_is_fixed_at_creation,
];

type Result = std::result::Result<Verdict, Broken>;

/// Ends the case unless the condition holds.
macro_rules! check {
    ($condition:expr, $($found:tt)+) => {
        if !$condition {
            return Err(Broken(format!($($found)+)));
        }
    };
}

/// Ends the case unless both sides are equal.
macro_rules! equal {
    ($found:expr, $wanted:expr) => {{
        let (found, wanted) = (&$found, &$wanted);
        check!(found == wanted, "{} is {found:?}, not {wanted:?}", stringify!($found));
    }};
}

async fn appends_in_order_and_reads_back(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
    let mut appended = journal.appended();
    equal!((journal.head().await?, *appended.borrow_and_update()), (0, 0));
    let stream = new_stream();
    equal!(journal.read_stream(&stream, 0, 10).await?, vec![]);
    equal!(journal.read_all(0, 10).await?, vec![]);

    let (expected, events) = following(&stream, None, 3);
    let answer = journal.append(&stream, expected, events.clone()).await?;
    equal!((answer.last.journal, answer.revision), (journal.id(), 2));
    let order = answer.last.order;
    tokio::time::timeout(Duration::from_secs(5), appended.wait_for(|now| *now == order)).await??;

    let read = journal.read_stream(&stream, 1, 10).await?;
    equal!(read.iter().map(|event| event.envelope.clone()).collect::<Vec<_>>(), events[1..]);
    equal!(
        read.iter().map(|event| event.body.clone()).collect::<Vec<_>>(),
        [events[1].body(), events[2].body()]
    );
    equal!(journal.read_stream(&stream, 0, 2).await?.len(), 2);
    equal!(journal.read_stream(&stream, 3, 2).await?, vec![]);
    let all = journal.read_all(0, 10).await?;
    equal!(all.len(), 3);
    equal!(all[1..], read[..]);
    equal!(journal.read_all(all[0].position.order, 1).await?, read[..1]);
    equal!(all[2].position, answer.last);
    equal!(journal.read_all(order, 10).await?, vec![]);
    equal!(journal.head().await?, order);
    if journal.traits().orders_are_dense {
        equal!(all.iter().map(|event| event.position.order).collect::<Vec<_>>(), [1, 2, 3]);
    }
    Ok(Verdict::Kept)
}

async fn reads_backwards_and_counts(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
    equal!(journal.read_back(0, 5).await?, vec![]);
    equal!(journal.count_after(0, 1000).await?, 0);
    for _ in 0..4 {
        let stream = new_stream();
        let (expected, events) = following(&stream, None, 3);
        journal.append(&stream, expected, events).await?;
    }
    let all = read_everything(&*journal).await?;
    equal!(all.len(), 12);
    for (at, limit) in [(0, 1), (5, 1), (11, 1), (5, 3), (11, 12), (2, 100), (11, 0)] {
        let read = journal.read_back(all[at].position.order, limit).await?;
        let first = (at + 1_usize).saturating_sub(limit);
        equal!(read, all[first..=at]);
    }
    equal!(journal.count_after(0, 1000).await?, 12);
    equal!(journal.count_after(all[4].position.order, 1000).await?, 7);
    equal!(journal.count_after(all[11].position.order, 1000).await?, 0);
    Ok(Verdict::Kept)
}

async fn concurrent_appenders_on_many_streams(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
    let appenders = (0..16).map(|_| {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move {
            let (stream, mut last) = (new_stream(), None);
            for _ in 0..20 {
                let (expected, events) = following(&stream, last.as_ref(), 2);
                last = events.last().cloned();
                journal.append(&stream, expected, events).await?;
            }
            Ok::<_, AppendError>(())
        })
    });
    for outcome in join_all(appenders).await {
        outcome??;
    }
    let streams = check_whole(&read_everything(&*journal).await?)?;
    equal!(streams.len(), 16);
    check!(streams.values().all(|events| events.len() == 40), "a stream has not all its events");
    Ok(Verdict::Kept)
}

async fn concurrent_appenders_on_one_stream(place: Arc<dyn Place>) -> Result {
    let stream: StreamId = "directory-subcloud".parse()?;
    let adapters = [place.open().await?, place.open().await?];
    let appenders = (0..8).map(|n| {
        let (journal, stream) = (Arc::clone(&adapters[n % 2]), stream.clone());
        tokio::spawn(async move {
            let mut won = Vec::new();
            while won.len() < 10 {
                let last = journal.read_stream(&stream, 0, 1000).await?.pop();
                let (expected, events) = following(&stream, last.as_ref().map(|last| &last.envelope), 2);
                let id = events.first().map(|event| event.id);
                match journal.append(&stream, expected, events).await {
                    Ok(answer) => won.push((id, answer.revision - 1)),
                    Err(AppendError::Conflict { actual }) => {
                        check!(actual > expected.last(), "a conflict at {actual:?} with {expected:?}");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok::<_, Broken>(won)
        })
    });
    let mut won = Vec::new();
    for outcome in join_all(appenders).await {
        won.extend(outcome??);
    }
    let streams = check_whole(&read_everything(&*adapters[0]).await?)?;
    let events = streams.get(stream.as_str()).map(Vec::as_slice).unwrap_or_default();
    equal!(events.len(), 160);
    for (id, revision) in won {
        let there = events.iter().find(|event| event.envelope.revision == revision);
        equal!(there.map(|event| event.envelope.id), id);
    }
    Ok(Verdict::Kept)
}

async fn a_follower_sees_everything_once_and_in_order(place: Arc<dyn Place>) -> Result {
    let (writer, reader) = (place.open().await?, place.open().await?);
    let appenders = (0..6).map(|_| {
        let journal = Arc::clone(&writer);
        tokio::spawn(async move {
            let (stream, mut last) = (new_stream(), None);
            for _ in 0..25 {
                let (expected, events) = following(&stream, last.as_ref(), 1);
                last = events.last().cloned();
                journal.append(&stream, expected, events).await?;
            }
            Ok::<_, AppendError>(())
        })
    });
    let appenders: Vec<_> = appenders.collect();
    let (mut seen, mut after) = (Vec::new(), 0);
    while seen.len() < 150 {
        let page = reader.read_all(after, 7).await?;
        after = page.last().map_or(after, |last| last.position.order);
        seen.extend(page);
        check!(reader.head().await? >= after, "the head is behind what was read");
    }
    for appender in appenders {
        appender.await??;
    }
    // Read at leisure, it is the same.
    equal!(seen, read_everything(&*reader).await?);
    check_whole(&seen)?;
    equal!(reader.head().await?, after);
    Ok(Verdict::Kept)
}

async fn a_conflict_says_where_the_stream_is(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 3);
    let early = following(&stream, events.get(1), 1);
    let answer = journal.append(&stream, early.0, early.1.clone()).await;
    equal!(answer, Err(AppendError::Conflict { actual: None }));
    let written = journal.append(&stream, expected, events).await?;
    for (expected, events) in [following(&stream, None, 1), early] {
        let answer = journal.append(&stream, expected, events).await;
        equal!(answer, Err(AppendError::Conflict { actual: Some(2) }));
    }
    equal!(journal.head().await?, written.last.order);
    Ok(Verdict::Kept)
}

async fn one_conflict_does_not_abort_the_others(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
    let contested = new_stream();
    let appends = (0..100).map(|n| {
        let stream = if n % 2 == 0 { contested.clone() } else { new_stream() };
        let (expected, events) = following(&stream, None, 1);
        let journal = Arc::clone(&journal);
        async move { (n, journal.append(&stream, expected, events).await) }
    });
    let mut winners = 0;
    for (n, answer) in join_all(appends).await {
        match answer {
            Ok(_) => winners += 1,
            Err(AppendError::Conflict { actual: Some(0) }) if n % 2 == 0 => {}
            Err(error) => return Err(error.into()),
        }
    }
    equal!(winners, 51);
    equal!(check_whole(&read_everything(&*journal).await?)?.len(), 51);
    Ok(Verdict::Kept)
}

async fn a_repeated_append_gives_the_first_answer(place: Arc<dyn Place>) -> Result {
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 2);
    let journal = place.open().await?;
    let first = journal.append(&stream, expected, events.clone()).await?;
    let (later, more) = following(&stream, events.last(), 2);
    let second = journal.append(&stream, later, more.clone()).await?;
    drop(journal);

    let journal = place.open().await?;
    for _ in 0..2 {
        equal!(journal.append(&stream, expected, events.clone()).await?, first);
        equal!(journal.append(&stream, later, more.clone()).await?, second);
    }
    equal!(journal.head().await?, second.last.order);
    equal!(journal.read_all(0, 10).await?.len(), 4);
    Ok(Verdict::Kept)
}

async fn a_repetition_of_a_part_is_a_conflict(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 2);
    journal.append(&stream, expected, events.clone()).await?;
    // As it began, with more behind it: another append.
    let (_, mut longer) = following(&stream, events.last(), 1);
    longer.splice(0..0, events);
    let answer = journal.append(&stream, expected, longer).await;
    equal!(answer, Err(AppendError::Conflict { actual: Some(1) }));
    equal!(journal.read_stream(&stream, 0, 10).await?.len(), 2);
    Ok(Verdict::Kept)
}

async fn appends_made_together_end_before_the_first_refused(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
    let append = |stream: &StreamId, last: Option<&Envelope>| {
        let (expected, events) = following(stream, last, 2);
        Append { stream: stream.clone(), expected, events }
    };
    let ids = |appends: &[&Append]| {
        let events = appends.iter().flat_map(|append| &append.events);
        events.map(|event| event.id).collect::<Vec<_>>()
    };
    let (stream, elsewhere) = (new_stream(), new_stream());
    let first = append(&stream, None);
    let between = append(&elsewhere, None);
    let second = append(&stream, first.events.last());
    let appends = vec![first.clone(), between.clone(), second.clone()];
    for _ in 0..2 {
        equal!(journal.append_all(appends.clone()).await, Ok(()));
        let read = read_everything(&*journal).await?;
        let there: Vec<_> = read.iter().map(|event| event.envelope.id).collect();
        equal!(there, ids(&[&first, &between, &second]));
    }

    let (before, behind) = (append(&new_stream(), None), append(&new_stream(), None));
    let late = append(&stream, None);
    let answer = journal.append_all(vec![before.clone(), late, behind]).await;
    let cause = AppendError::Conflict { actual: Some(3) };
    equal!(answer, Err(NotAppended { at: 1, cause }));
    // All that stands before the refused one, or nothing.
    let read = read_everything(&*journal).await?;
    let there: Vec<_> = read.iter().skip(6).map(|event| event.envelope.id).collect();
    check!(there.is_empty() || there == ids(&[&before]), "{} events of other appends", there.len());
    equal!(journal.append_all(vec![before]).await, Ok(()));
    equal!(check_whole(&read_everything(&*journal).await?)?.len(), 3);
    Ok(Verdict::Kept)
}

async fn an_id_is_used_once(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
    if !journal.traits().ids_are_unique {
        return Ok(Verdict::NotPromised);
    }
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 1);
    let first = journal.append(&stream, expected, events.clone()).await?;
    let id = events[0].id;

    let (expected, mut again) = following(&stream, events.last(), 1);
    again[0].id = id;
    let again = vec![again.remove(0).seal(Some(&events[0].hash))];
    equal!(journal.append(&stream, expected, again).await, Err(AppendError::IdTaken { id }));

    let other = new_stream();
    let (expected, mut elsewhere) = following(&other, None, 1);
    elsewhere[0].id = id;
    let elsewhere = vec![elsewhere.remove(0).seal(None)];
    equal!(journal.append(&other, expected, elsewhere).await, Err(AppendError::IdTaken { id }));
    equal!(journal.head().await?, first.last.order);
    Ok(Verdict::Kept)
}

async fn a_dropped_caller_harms_nobody(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
    let mut dropped = Vec::new();
    for _ in 0..50 {
        let stream = new_stream();
        let (expected, events) = following(&stream, None, 3);
        dropped.push(stream.clone());
        let (gone, stays) = (Arc::clone(&journal), Arc::clone(&journal));
        let caller = tokio::spawn(async move { gone.append(&stream, expected, events).await });
        let patient = new_stream();
        let (expected, events) = following(&patient, None, 1);
        let (_, answer) = tokio::join!(async { caller.abort() }, stays.append(&patient, expected, events));
        answer?;
    }
    let streams = check_whole(&read_everything(&*journal).await?)?;
    for stream in dropped {
        let written = streams.get(stream.as_str()).map_or(0, Vec::len);
        check!(written == 0 || written == 3, "{written} events of an append of three");
    }
    Ok(Verdict::Kept)
}

async fn refuses_events_that_do_not_follow(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
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
        check!(matches!(answer, Err(AppendError::Invalid(_))), "{answer:?}");
    }
    let elsewhere = journal.append(&new_stream(), expected, events.clone()).await;
    check!(matches!(elsewhere, Err(AppendError::Invalid(_))), "{elsewhere:?}");
    equal!(journal.head().await?, 0);

    // Sealed onto something that is not what the stream ends with; also for an adapter that has not seen the stream.
    journal.append(&stream, expected, events.clone()).await?;
    let (_, other) = following(&stream, None, 2);
    let (expected, torn) = following(&stream, other.last(), 1);
    for journal in [Arc::clone(&journal), place.open().await?] {
        let answer = journal.append(&stream, expected, torn.clone()).await;
        check!(matches!(answer, Err(AppendError::Invalid(_))), "{answer:?}");
    }
    equal!(journal.read_all(0, 10).await?.len(), 2);
    Ok(Verdict::Kept)
}

async fn keeps_unicode_and_large_data(place: Arc<dyn Place>) -> Result {
    let journal = place.open().await?;
    let stream = new_stream();
    // As much as every store takes at once: EventStoreDB's limit for an append is 1 MiB unless it is told another.
    let data = vec![
        json!({"\u{0}": "\u{0}\u{1}\u{7f}\u{2028}\"\\/é\u{10ffff}", "z": 1.5e-7, "a": [null, true, -0.0, 1e300]}),
        json!({"large": "é\n".repeat(200_000)}),
    ];
    let (expected, events) = with_data(&stream, None, data);
    journal.append(&stream, expected, events.clone()).await?;
    let read = read_everything(&*journal).await?;
    check!(read.iter().map(|event| &event.envelope).eq(&events), "what is read is not what was appended");
    check_whole(&read)?;
    Ok(Verdict::Kept)
}

async fn the_id_is_fixed_at_creation(place: Arc<dyn Place>) -> Result {
    let (first, second) = tokio::join!(place.open(), place.open());
    let (first, second) = (first?, second?);
    equal!(first.id(), second.id());
    let id = first.id();
    drop((first, second));
    let again = place.open().await?;
    equal!(again.id(), id);
    equal!(again.read_all(0, 1).await?, vec![]);
    Ok(Verdict::Kept)
}
