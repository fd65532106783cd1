//! A database that is cut off does not even refuse: queries fail all the same, soon.

use std::sync::Arc;
use std::time::Duration;

use dcm_projections::HistoryFilter;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::site::{Site, database};

/// A way to the server at `port` that goes silent, with open connections, once `cut` is cancelled.
async fn way_to(port: u16, cut: CancellationToken) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let cut = cut.clone();
            held.push(tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::select! {
                    () = cut.cancelled() => std::future::pending().await,
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                }
            }));
        }
    });
    own
}

#[tokio::test]
async fn queries_of_a_silent_database_fail() {
    let cluster = Cluster::shared();
    let cut = CancellationToken::new();
    let port = way_to(cluster.port, cut.clone()).await;
    let url = database(&cluster).await.replace(&format!(":{}/", cluster.port), &format!(":{port}/"));
    let site = Site::open(&url).await;
    site.add(1).await;
    site.project().await;
    let models = Arc::clone(&site.models);
    assert_eq!(models.subclouds().all().await.unwrap().len(), 1);
    cut.cancel();
    let filter = HistoryFilter { limit: 1, ..HistoryFilter::default() };
    let (subclouds, history, groups) = (models.subclouds(), models.history(), models.groups());
    let all = futures::future::join4(
        async { subclouds.all().await.is_err() },
        async { history.of(Uuid::nil(), &filter).await.is_err() },
        async { groups.by_id(1).await.is_err() },
        async { models.status().await.is_err() },
    );
    let failed = tokio::time::timeout(Duration::from_secs(120), all).await;
    assert_eq!(failed.unwrap(), (true, true, true, true));
}
