//! Peers under concurrency, and where their passwords are.

use std::fs;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dcm_domain::key_directory::Listed;
use futures::future::join_all;
use serde_json::json;

use crate::ask::*;
use crate::peers::*;
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_peers_of_one_uuid_one_is_added() {
    let site = Arc::new(dc_1().await);
    let answers = join_all((0..20).map(|number| {
        let site = Arc::clone(&site);
        let body = with(peer(), "peer_name", json!(format!("dc-{number}")));
        async move { send(&site, "POST", PEERS, &body).await.status }
    }))
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 409).count(), 19, "{answers:?}");
    let directory = site.fleet.collections().system_peers.directory().await.unwrap();
    assert_eq!((directory.unsettled().count(), directory.entries().count()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_many_updates_at_once_a_peer_is_found_by_what_it_is_called() {
    let site = Arc::new(dc_1().await);
    add_peer(&site).await;
    let uuid = |number: usize| format!("00000000-0000-4000-8000-{number:012}");
    for round in 0..5 {
        let updates = (0..8).map(|number| {
            let body = match number % 2 {
                0 => json!({"peer_name": format!("dc-{round}-{number}")}),
                _ => json!({"peer_uuid": uuid(10 * round + number)}),
            };
            let site = Arc::clone(&site);
            tokio::spawn(async move { send(&site, "PATCH", &format!("{PEERS}/1"), &body).await.status })
        });
        let answers = join_all(updates.collect::<Vec<_>>()).await;
        let answers: Vec<u16> = answers.into_iter().map(|answer| answer.unwrap()).collect();
        assert!(answers.contains(&200), "{answers:?}");
        assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
        let peers = &site.fleet.collections().system_peers;
        let directory = peers.directory().await.unwrap();
        assert_eq!(directory.unsettled().count(), 0);
        for (entity, entry) in directory.entries() {
            assert_eq!(peers.load(entity).await.unwrap().state.unwrap().keys(), entry.keys, "{answers:?}");
        }
    }
    let shown = site.get(&format!("{PEERS}/1")).await.json();
    for key in ["peer-name", "peer-uuid"] {
        let called = shown[key].as_str().unwrap();
        assert_eq!(site.get(&format!("{PEERS}/{called}")).await.json(), shown, "{called}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_deleted_or_associated_but_never_both() {
    let site = Arc::new(dc_1().await);
    let peer = add_peer(&site).await;
    let (mut deleted, mut associated) = (0, 0);
    for number in 0..20 {
        let group = add_group(&site, &format!("pg{number}"), 5).await;
        let associating = tokio::spawn({
            let site = Arc::clone(&site);
            let body = json!({"peer_group_id": group, "system_peer_id": peer});
            async move { send(&site, "POST", ASSOCIATIONS, &body).await.status }
        });
        let deleting = tokio::spawn({
            let site = Arc::clone(&site);
            async move { bare(&site, "DELETE", &format!("{GROUPS}/{group}")).await.status }
        });
        let (made, gone) = (associating.await.unwrap(), deleting.await.unwrap());
        match (made, gone) {
            (200, 400) => associated += 1,
            (400, 200) => deleted += 1,
            other => panic!("associated and deleted: {other:?}"),
        }
        let there = site.get(&format!("{GROUPS}/{group}")).await.status;
        let row = site.models.associations().by_pair(group, peer).await.unwrap();
        assert_eq!((there == 200, row.is_some()), (made == 200, made == 200));
    }
    assert_eq!(deleted + associated, 20);
}

#[tokio::test]
async fn the_managers_password_is_in_the_vault_alone() {
    let site = dc_1().await;
    let answers = [
        send(&site, "POST", PEERS, &peer()).await,
        send(&site, "POST", PEERS, &peer()).await,
        send(&site, "PATCH", &format!("{PEERS}/1"), &json!({"manager_password": "TmV3OC1QYXNzd29yZA=="}))
            .await,
        send(&site, "PATCH", &format!("{PEERS}/1"), &json!({"manager_password": PASSWORD, "peer_uuid": "x"}))
            .await,
        site.get(&format!("{PEERS}/1")).await,
    ];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 409, 200, 400, 200]);
    let row = site.models.system_peers().by_id(1).await.unwrap().unwrap();
    let kept = site.app.vault().list(row.uuid).await.unwrap();
    assert_eq!(kept.iter().map(|info| info.entry).collect::<Vec<_>>(), [row.state.manager_password.unwrap()]);
    assert!(!found(&site, "128.128.128.1").is_empty(), "what is no secret is found in journal and rows");
    for secret in [PASSWORD, "TmV3OC1QYXNzd29yZA=="] {
        let clear = String::from_utf8(BASE64_STANDARD.decode(secret).unwrap()).unwrap();
        for spelling in [secret, &clear] {
            assert!(answers.iter().all(|answer| !answer.text.contains(spelling)), "{spelling} was answered");
            assert_eq!(found(&site, spelling), Vec::<String>::new(), "{spelling}");
        }
    }
}

/// Files of the controller that contain the text.
fn found(site: &Site, text: &str) -> Vec<String> {
    let files = fs::read_dir(site.dir.path()).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .filter(|path| {
            let bytes = fs::read(path).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
        .map(|path| path.display().to_string())
        .collect()
}
