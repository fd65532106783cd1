//! F13: the migration of a peer group (fleet.md §3.4). Its end is the workers' (`workers/tests/peering.rs`).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dcm_domain::subcloud::RunKind;
use dcm_domain::value::Phase;
use serde_json::{Value, json};

use crate::ask::*;
use crate::peers::*;
use crate::site::Site;

async fn migrate(site: &Site, body: &Value) -> (u16, String) {
    let answer = send(site, "PATCH", &format!("{GROUPS}/pg1/migrate"), body).await;
    (answer.status, answer.text)
}

fn with_password() -> Value {
    json!({"sysadmin_password": BASE64_STANDARD.encode("Sys8dmin-Pass")})
}

async fn status(site: &Site) -> Value {
    site.get(&format!("{GROUPS}/pg1")).await.json()["migration_status"].clone()
}

#[tokio::test]
async fn fl_45_ready_members_are_rehomed_each_by_a_run() {
    let site = dc_1().await;
    let group = add_group(&site, "pg1", 0).await;
    let ready = [secondary(&site, 1, group).await, secondary(&site, 2, group).await];
    let managed = member(&site, 3, group).await;
    manage(&site, managed).await;
    let (code, text) = migrate(&site, &with_password()).await;
    assert_eq!(code, 200, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let shown = answer["subclouds"].as_array().unwrap();
    let names: Vec<_> = shown.iter().map(|subcloud| subcloud["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["subcloud1", "subcloud2"]);
    assert!(shown.iter().all(|subcloud| subcloud["deploy-status"] == "secondary"));
    assert_eq!(status(&site).await, "migrating");

    let entity = site.models.peer_groups().by_name("pg1").await.unwrap().unwrap().uuid;
    let state = site.fleet.collections().peer_groups.load(entity).await.unwrap().state.unwrap();
    let migration = state.migration.clone().unwrap();
    assert_eq!(migration.leader.unwrap().name, "dc-1");
    assert_eq!(migration.members.iter().map(|member| member.subcloud).collect::<Vec<_>>(), ready);
    for member in migration.members {
        let subcloud = site.fleet.subcloud(member.subcloud).await.unwrap().state.unwrap();
        let run = subcloud.run.clone().unwrap();
        assert_eq!((run.id, run.kind()), (member.run_id, RunKind::of(&[Phase::Rehome])));
        let password = run.inputs.sysadmin_password.unwrap();
        let secret = site.app.vault().get(&password, member.subcloud).await.unwrap();
        assert_eq!(secret.expose(), "Sys8dmin-Pass");
    }
    assert!(site.fleet.subcloud(managed).await.unwrap().state.unwrap().run.is_none());

    // A second one while the runs are open.
    let before = events(&site).await;
    let (code, text) = migrate(&site, &with_password()).await;
    assert_eq!(code, 400, "{text}");
    assert!(text.contains("being migrated"), "{text}");
    assert_eq!(events(&site).await, before);
}

#[tokio::test]
async fn fl_46_the_password_must_be_there() {
    let site = dc_1().await;
    let group = add_group(&site, "pg1", 0).await;
    let entity = secondary(&site, 1, group).await;
    let before = events(&site).await;
    for body in
        [json!({}), json!({"password": "x"}), json!([]), json!("x"), json!({"sysadmin_password": [1]})]
    {
        assert_eq!(migrate(&site, &body).await.0, 400, "{body}");
    }
    assert_eq!(events(&site).await, before);
    // Only the key is asked for.
    assert_eq!(migrate(&site, &json!({"sysadmin_password": null})).await.0, 200);
    let subcloud = site.fleet.subcloud(entity).await.unwrap().state.unwrap();
    assert_eq!(subcloud.run.clone().unwrap().inputs.sysadmin_password, None);
    assert_eq!(send(&site, "PATCH", &format!("{GROUPS}/nosuch/migrate"), &json!({})).await.status, 404);
}

#[tokio::test]
async fn fl_47_48_whatever_hinders_any_member_is_told_at_once() {
    let site = dc_1().await;
    let group = add_group(&site, "pg1", 0).await;
    secondary(&site, 1, group).await;
    let rehoming = secondary(&site, 2, group).await;
    let run_id = uuid::Uuid::now_v7();
    use dcm_domain::subcloud::command::{ClaimRun, MigrateSubcloud, StartPhase};
    site.run(rehoming, &MigrateSubcloud { run_id, sysadmin_password: None }).await;
    site.run(rehoming, &ClaimRun { run_id, worker: "w".to_owned() }).await;
    site.run(rehoming, &StartPhase { run_id, phase: Phase::Rehome }).await;
    let bare_member = member(&site, 3, group).await;
    rehome_data(&site, bare_member, json!({})).await;
    manage(&site, bare_member).await;
    let addressless = member(&site, 4, group).await;
    rehome_data(&site, addressless, json!({"name": "subcloud4"})).await;
    let before = events(&site).await;
    let (code, text) = migrate(&site, &with_password()).await;
    assert_eq!(code, 400, "{text}");
    for name in ["subcloud2", "subcloud3", "subcloud4"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(!text.contains("subcloud1"), "{text}");
    assert_eq!(events(&site).await, before);
    assert_eq!(status(&site).await, Value::Null);
}

#[tokio::test]
async fn fl_49_nothing_to_migrate() {
    let site = dc_1().await;
    let group = add_group(&site, "pg1", 0).await;
    assert_eq!(migrate(&site, &with_password()).await.0, 400);
    let managed = member(&site, 1, group).await;
    manage(&site, managed).await;
    let before = events(&site).await;
    let (code, text) = migrate(&site, &with_password()).await;
    assert_eq!(code, 400);
    assert!(text.contains("nothing to migrate"), "{text}");
    assert_eq!(events(&site).await, before);
}
