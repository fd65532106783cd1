//! Many requests at once: a name is one group's, and no subcloud ends in a group that is gone.

use std::sync::Arc;

use dcm_domain::directory::Rejection as DirectoryRejection;
use dcm_domain::subcloud::command::{Details, UpdateSubcloud};
use dcm_journal::fleet::FleetError;
use futures::future::join_all;
use serde_json::json;

use crate::ask::*;
use crate::site::{Site, meta};

const PATH: &str = "/v1.0/subcloud-groups";

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_groups_of_one_name_one_is_added() {
    let site = Arc::new(Site::start().await);
    let answers = join_all((0..20).map(|_| {
        let site = Arc::clone(&site);
        async move { send(&site, "POST", PATH, &group("edge")).await.status }
    }))
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 400).count(), 19, "{answers:?}");
    let directory = site.fleet.collections().groups.directory().await.unwrap();
    assert_eq!((directory.unsettled().count(), directory.entries().count()), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_renames_to_one_name_one_is_made() {
    let site = Arc::new(Site::start().await);
    for number in 0..10 {
        assert_eq!(send(&site, "POST", PATH, &group(&format!("edge{number}"))).await.status, 200);
    }
    let answers =
        join_all((0..10).map(|number| {
            let site = Arc::clone(&site);
            async move {
                send(&site, "PATCH", &format!("{PATH}/edge{number}"), &json!({"name": "one"})).await.status
            }
        }))
        .await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 400).count(), 9, "{answers:?}");
    let directory = site.fleet.collections().groups.directory().await.unwrap();
    assert_eq!(directory.unsettled().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_deleted_or_joined_but_never_both() {
    let site = Arc::new(Site::start().await);
    let entity = site.add(1).await;
    let (mut deleted, mut joined) = (0, 0);
    for number in 0..20 {
        let added = send(&site, "POST", PATH, &group(&format!("edge{number}"))).await.json();
        let id = added["id"].as_i64().unwrap();
        let joining = tokio::spawn({
            let site = Arc::clone(&site);
            async move {
                if number % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                let details = Details { group_id: Some(id), ..Details::default() };
                site.fleet.run_moving(entity, Some(id), &UpdateSubcloud { details }, &meta()).await
            }
        });
        let answer = bare(&site, "DELETE", &format!("{PATH}/{id}")).await;
        let moved = joining.await.unwrap();
        match (answer.status, &moved) {
            (200, Err(FleetError::Directory(DirectoryRejection::GroupClosed))) => deleted += 1,
            (400, Ok(_)) => joined += 1,
            other => panic!("{number}: {other:?}"),
        }
        let subcloud = site.fleet.subcloud(entity).await.unwrap().state.unwrap();
        let directory = site.fleet.directory().await.unwrap();
        assert_eq!(directory.entry(entity).unwrap().group_id, subcloud.group_id);
        assert_eq!(directory.unsettled().count(), 0);
    }
    assert_eq!(deleted + joined, 20);
}
