//! Many creations at once: what must be unique is unique.

use std::sync::Arc;
use std::time::Duration;

use dcm_domain::subcloud::command::{ManageSubcloud, ReportEndpoint};
use dcm_domain::value::{Endpoint, SyncStatus};
use futures::future::join_all;

use serde_json::json;

use crate::fixture::*;
use crate::site::{Answer, PATIENCE, meta};

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_creations_of_one_name_one_wins() {
    let site = Arc::new(controller().await);
    let answers = join_all((0..20).map(|number| {
        let values = moved(number);
        let site = Arc::clone(&site);
        async move { add(&site, values, Form::new()).await }
    }))
    .await;
    assert_eq!(with_status(&answers, 200), 1);
    assert_eq!(with_status(&answers, 409), 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_creations_in_overlapping_subnets_one_wins() {
    let site = Arc::new(controller().await);
    let answers = join_all((0..20).map(|number| {
        let prefix = 16 + number % 9;
        let values = with(bv(), "name", format!("subcloud{number}"));
        let values = with(values, "management_subnet", format!("192.168.101.0/{prefix}"));
        let site = Arc::clone(&site);
        async move { add(&site, values, Form::new()).await }
    }))
    .await;
    assert_eq!(with_status(&answers, 200), 1);
    assert_eq!(with_status(&answers, 400), 19);
    assert!(
        answers.iter().filter(|answer| answer.status == 400).all(|answer| answer.text.contains("overlaps"))
    );
    assert_eq!(site.get("/v1.0/subclouds").await.json()["subclouds"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_creations_in_one_region_one_wins() {
    let site = Arc::new(controller().await);
    let answers = join_all((0..20).map(|number| {
        let values = with(moved(number), "name", format!("subcloud{number}"));
        let site = Arc::clone(&site);
        async move { add(&site, values, Form::new().field("region_name", "one-region")).await }
    }))
    .await;
    assert_eq!(with_status(&answers, 200), 1);
    assert_eq!(with_status(&answers, 409), 19);
    assert_eq!(site.get("/v1.0/subclouds").await.json()["subclouds"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn jb_092_reports_of_one_subcloud_follow_one_another() {
    let site = Arc::new(controller().await);
    let entity = site.add(1).await;
    site.online(entity).await;
    site.run(entity, &ManageSubcloud { force: true, ..ManageSubcloud::default() }).await;
    let before = site.journal.head().await.unwrap();
    join_all(Endpoint::DEFAULT.into_iter().cycle().take(40).map(|endpoint| {
        let site = Arc::clone(&site);
        let report = ReportEndpoint { endpoint, status: SyncStatus::InSync, seen: None };
        async move { site.fleet.run(entity, &report, &meta()).await.unwrap() }
    }))
    .await;
    assert!(state(&site, entity).await.endpoints.values().all(|status| *status == SyncStatus::InSync));
    let events = site.journal.head().await.unwrap() - before;
    assert_eq!(events, Endpoint::DEFAULT.len() as u64, "one change of each, however often it was reported");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_subclouds_that_move_to_one_subnet_one_wins() {
    let site = Arc::new(controller().await);
    for number in 1..=8 {
        site.add(number).await;
    }
    let answers = join_all((1..=8).map(|number| {
        let prefix = 16 + number;
        let form = Form::new()
            .field("management_subnet", &format!("10.99.0.0/{prefix}"))
            .field("management_gateway_ip", "10.99.0.1")
            .field("management_start_ip", "10.99.0.2")
            .field("management_end_ip", "10.99.0.50")
            .field("bootstrap_address", "10.10.10.12")
            .field("sysadmin_password", PASSWORD);
        let site = Arc::clone(&site);
        async move { send(&site, "PATCH", &format!("/v1.0/subclouds/{number}"), &form).await }
    }))
    .await;
    assert_eq!(with_status(&answers, 200), 1);
    assert_eq!(with_status(&answers, 400), 7);
    let moving = async |number| deploy_status(&site, number).await == "reconfiguring-network";
    let mut moves = 0;
    for number in 1..=8 {
        moves += u32::from(moving(number).await);
    }
    assert_eq!(moves, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_requests_for_one_subcloud_s_run_one_wins() {
    let site = Arc::new(controller().await);
    let entity = site.add(1).await;
    manage(&site, entity).await;
    let answers = join_all((0..12).map(|_| {
        let site = Arc::clone(&site);
        async move {
            let body = json!({"sysadmin_password": PASSWORD});
            send_json(&site, "PATCH", "/v1.0/subclouds/1/prestage", &body).await
        }
    }))
    .await;
    assert_eq!(with_status(&answers, 200), 1);
    assert_eq!(with_status(&answers, 400) + with_status(&answers, 422), 11);
    assert_eq!(site.app.vault().list(entity).await.unwrap().len(), 1, "one password");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_nothing_half_way() {
    let site = Arc::new(controller().await);
    for number in 0..24 {
        let values = with(moved(number), "name", format!("subcloud{number}"));
        let request = tokio::spawn({
            let site = Arc::clone(&site);
            async move { add(&site, values, Form::new()).await }
        });
        let patience = Duration::from_micros(500 * u64::try_from(number).unwrap());
        let abort = request.abort_handle();
        if tokio::time::timeout(patience, request).await.is_err() {
            abort.abort();
        }
    }
    let whole = async {
        while site.fleet.directory().await.unwrap().unsettled().next().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, whole).await.expect("every creation that began is finished");
}

fn with_status(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// BV in a subnet of its own.
fn moved(number: usize) -> serde_json::Map<String, serde_json::Value> {
    let own = format!("10.7.{number}.");
    let keys = ["subnet", "start_address", "end_address", "gateway_address"];
    keys.into_iter().fold(bv(), |values, key| {
        let key = format!("management_{key}");
        let text = values[&key].as_str().unwrap().replace("192.168.101.", &own);
        with(values, &key, text)
    })
}
