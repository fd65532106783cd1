//! The contract, on every engine; and what becomes visible when somebody meddles with a store.

use std::sync::Arc;

use dcm_journal::conformance::{CASES, Outcome};
use dcm_journal::store::{OpenError, ReadError};
use serde_json::json;

use crate::{
    events::{check_whole, following, new_stream, read_everything, with_data},
    site::Site,
};

/// Runs a case by its name.
async fn passes(name: &str, site: Site) {
    let promised = site.open_elsewhere().await.traits();
    let case = CASES.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"));
    match case.run(Arc::new(site)).await {
        Outcome::Passed => {}
        Outcome::NotPromised => assert!(!promised.ids_are_unique, "{name} is promised"),
        Outcome::Failed(reason) => panic!("{reason}"),
    }
}

macro_rules! on_every_engine {
    (cases: $($case:ident),*; tests: $($test:ident),* $(,)?) => {
        on_every_engine!(@engine sqlite $($case),*; $($test),*);
        on_every_engine!(@engine postgres $($case),*; $($test),*);
        on_every_engine!(@engine esdb $($case),*; $($test),*);

        #[test]
        fn no_case_is_forgotten() {
            let tested = [$(stringify!($case)),*];
            assert_eq!(CASES.iter().map(|case| case.name).collect::<Vec<_>>(), tested);
        }
    };
    (@engine $engine:ident $($case:ident),*; $($test:ident),*) => {
        mod $engine {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::passes(stringify!($case), crate::site::Site::$engine().await).await;
            })*
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::site::Site::$engine().await).await;
            })*
        }
    };
}

on_every_engine![
    cases:
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
        the_id_is_fixed_at_creation;
    tests:
        catches_one_altered_byte,
        catches_a_missing_event,
        refuses_another_format,
        two_journals_have_two_ids,
];

async fn catches_one_altered_byte(site: Site) {
    let journal = site.open().await;
    let stream = new_stream();
    let data = vec![json!({"name": "subcloud1"}), json!({"name": "other"})];
    let (expected, events) = with_data(&stream, None, data);
    journal.append(&stream, expected, events).await.unwrap();
    let whole = read_everything(&*journal).await;
    assert!(check_whole(&whole).is_ok());
    site.alter(whole[0].position.order, "subcloud1", "subcloud2").await;
    assert!(check_whole(&read_everything(&*journal).await).is_err());
}

async fn catches_a_missing_event(site: Site) {
    let journal = site.open().await;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 3);
    journal.append(&stream, expected, events).await.unwrap();
    let whole = read_everything(&*journal).await;
    site.remove(whole[1].position.order).await;
    assert!(matches!(journal.read_all(0, 10).await, Err(ReadError::Corrupt { .. })));
    let order = whole[2].position.order;
    let read = journal.read_stream(&stream, 0, 10).await;
    assert!(matches!(read, Err(ReadError::Corrupt { order: at, .. }) if at == order), "{read:?}");
}

async fn refuses_another_format(site: Site) {
    drop(site.open().await);
    site.set_format(99).await;
    assert!(matches!(site.try_open().await, Err(OpenError::Format { found: 99, .. })));
}

async fn two_journals_have_two_ids(site: Site) {
    assert_ne!(site.open().await.id(), site.open_elsewhere().await.id());
}

/// More than an event store takes.
#[tokio::test]
async fn keeps_more_than_a_mebibyte() {
    let site = Site::sqlite().await;
    let journal = site.open().await;
    let stream = new_stream();
    let (expected, events) = with_data(&stream, None, vec![json!({"large": "é\n".repeat((1 << 20) / 3)})]);
    journal.append(&stream, expected, events.clone()).await.unwrap();
    assert_eq!(read_everything(&*journal).await[0].envelope, events[0]);
}
