//! A process that is killed while it appends to an embedded journal.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use dcm_journal::store::{OpenError, open};

use crate::{
    events::{check_whole, following, new_stream, read_everything},
    site::Site,
};

/// Tells the process to be killed where its journal is.
const VICTIM: &str = "DCM_TEST_CRASH_DIR";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_whole_appends_and_all_that_was_answered() {
    let site = Site::sqlite().await;
    let mut acknowledged = 0;
    for answers in [1, 40, 87] {
        let mut victim = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--ignored", "--nocapture"])
            .env(VICTIM, site.dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let orders = lines.filter_map(|line| line.unwrap().split("appended ").nth(1)?.parse::<u64>().ok());
        let last = orders.take(answers).last().unwrap();
        assert!(last > acknowledged);
        acknowledged = last;
        victim.kill().unwrap();
        victim.wait().unwrap();

        let journal = site.open().await;
        assert!(journal.head().await.unwrap() >= acknowledged);
        let streams = check_whole(&read_everything(&*journal).await).unwrap();
        assert!(streams.values().all(|events| events.len() % 3 == 0), "an append was written in part");
    }
}

#[tokio::test]
#[ignore = "run, and killed, by the test above"]
async fn victim() {
    let Some(dir) = env::var_os(VICTIM) else { return };
    let journal = open("embedded:", Path::new(&dir)).await.unwrap();
    let appenders = (0..4).map(|_| {
        let journal = journal.clone();
        async move {
            let (stream, mut last) = (new_stream(), None);
            loop {
                let (expected, events) = following(&stream, last.as_ref(), 3);
                last = events.last().cloned();
                let answer = journal.append(&stream, expected, events).await.unwrap();
                writeln!(std::io::stdout(), "appended {}", answer.last.order).unwrap();
            }
        }
    });
    let _: Vec<()> = futures::future::join_all(appenders).await;
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_refused() {
    let site = Site::sqlite().await;
    std::fs::write(
        site.dir.path().join("journal.db"),
        "not a database, but long enough to look like one".repeat(99),
    )
    .unwrap();
    let error = open("embedded:", site.dir.path()).await.err().unwrap();
    assert!(matches!(&error, OpenError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("backup"), "{error}");

    let file = site.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(open("embedded:", &file.join("x")).await.err(), Some(OpenError::NotCreated { .. })));
}
