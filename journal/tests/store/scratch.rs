//! Trying a store out beside its journal.

use std::sync::Arc;

use dcm_journal::conformance::{CASES, Outcome};
use dcm_journal::store::Scratch;

use crate::{
    events::{following, new_stream},
    site::Site,
};

async fn leaves_no_trace(site: Site) {
    let journal = site.open().await;
    let stream = new_stream();
    let (expected, events) = following(&stream, None, 2);
    let written = journal.append(&stream, expected, events).await.unwrap();
    let name = "concurrent_appenders_on_one_stream";
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let scratch = Arc::new(Scratch::create(&site.url(), site.dir.path()).await.unwrap());
    assert_eq!(case.run(Arc::clone(&scratch) as _).await, Outcome::Passed);
    assert_ne!(scratch.open().await.unwrap().id(), journal.id());
    assert_eq!(journal.read_all(0, 10).await.unwrap().len(), 2);
    assert_eq!(journal.head().await, Ok(written.last.order));
    Arc::into_inner(scratch).unwrap().remove().await.unwrap();
    assert_eq!(journal.read_all(0, 10).await.unwrap().len(), 2);
    let left = std::fs::read_dir(site.dir.path()).unwrap();
    assert!(left.map(|file| file.unwrap().path()).all(|path| path.is_file()), "a directory is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_beside_an_embedded_journal() {
    leaves_no_trace(Site::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_beside_the_journals() {
    leaves_no_trace(Site::postgres().await).await;
}
