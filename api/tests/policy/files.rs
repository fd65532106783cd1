//! What an operator's files change (access.md §7, §16 cases 57 to 69).

use serde_json::json;

use crate::site::Site;
use crate::{ADMIN, Asking, MEMBER_OF_DEMO, READER, ask, behind_a_proxy};

const LIST: &str = "/v1.0/subclouds";
const PROJECTIONS: &str = "/v1.0/projections";

fn write(site: &Site, name: &str, text: &str) {
    let path = site.dir.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

async fn sees(site: &Site, who: Asking, path: &str) -> bool {
    match ask(site, who, "GET", path).await.status {
        200 => true,
        403 => false,
        other => panic!("{who:?} at {path}: {other}"),
    }
}

#[tokio::test]
async fn ac_57_one_rule_is_replaced_and_the_others_stay() {
    let site = behind_a_proxy().await;
    write(&site, "policy.yaml", "dc_api:subclouds:get: role:member\n");
    assert!(sees(&site, MEMBER_OF_DEMO, LIST).await && !sees(&site, READER, LIST).await);
    assert!(!sees(&site, MEMBER_OF_DEMO, PROJECTIONS).await && sees(&site, READER, PROJECTIONS).await);
}

#[tokio::test]
async fn ac_58_59_a_base_rule_changes_what_refers_to_it() {
    let site = behind_a_proxy().await;
    write(&site, "policy.yaml", "reader_in_system_projects: role:member\n");
    for path in [LIST, PROJECTIONS] {
        assert!(sees(&site, MEMBER_OF_DEMO, path).await && !sees(&site, READER, path).await, "{path}");
    }
    let rebuild = "/v1.0/projections/nosuch/rebuild";
    assert_eq!(ask(&site, MEMBER_OF_DEMO, "POST", rebuild).await.status, 403);
    assert_eq!(ask(&site, ADMIN, "POST", rebuild).await.status, 404);
    write(&site, "policy.yaml", "dc_api:subclouds:get: '@'\ndc_api:projections:get: '!'\n");
    for who in [ADMIN, READER, MEMBER_OF_DEMO] {
        assert!(sees(&site, who, LIST).await && !sees(&site, who, PROJECTIONS).await, "{who:?}");
    }
}

#[tokio::test]
async fn ac_61_64_67_json_own_rules_and_the_directory() {
    let site = behind_a_proxy().await;
    write(
        &site,
        "policy.yaml",
        r#"{"dc_api:subclouds:get": "rule:mine", "mine": [["role:member", "project_name:demo"]]}"#,
    );
    assert!(sees(&site, MEMBER_OF_DEMO, LIST).await && !sees(&site, READER, LIST).await);
    write(&site, "policy.d/10-readers.yaml", "mine: role:reader\n");
    assert!(!sees(&site, MEMBER_OF_DEMO, LIST).await && sees(&site, READER, LIST).await);
    write(&site, "policy.d/.20-hidden.yaml", "mine: '!'\n");
    write(&site, "policy.d/folder/30.yaml", "mine: '!'\n");
    assert!(sees(&site, READER, LIST).await);
    write(&site, "policy.d/05-nobody.yaml", "mine: '!'\n");
    assert!(sees(&site, READER, LIST).await);
}

#[tokio::test]
async fn ac_65_69_edits_follow_at_once_and_without_a_file_the_defaults_hold() {
    let site = behind_a_proxy().await;
    assert!(sees(&site, READER, LIST).await && !sees(&site, MEMBER_OF_DEMO, LIST).await);
    for _ in 0..10 {
        write(&site, "policy.yaml", "dc_api:subclouds:get: role:member\n");
        assert!(!sees(&site, READER, LIST).await && sees(&site, MEMBER_OF_DEMO, LIST).await);
        write(&site, "policy.yaml", "dc_api:subclouds:get: role:reader\n");
        assert!(sees(&site, READER, LIST).await && !sees(&site, MEMBER_OF_DEMO, LIST).await);
    }
    std::fs::remove_file(site.dir.path().join("policy.yaml")).unwrap();
    assert!(sees(&site, READER, LIST).await && !sees(&site, MEMBER_OF_DEMO, LIST).await);
}

#[tokio::test]
async fn ac_66_a_broken_edit_keeps_the_rules_and_readyz_says_so() {
    let site = behind_a_proxy().await;
    write(&site, "policy.yaml", "dc_api:subclouds:get: role:member\n");
    assert!(sees(&site, MEMBER_OF_DEMO, LIST).await);
    let ready = async || {
        let answer = site.get("/readyz").await;
        (answer.status, answer.json()["warnings"].clone())
    };
    assert_eq!(ready().await, (200, json!({})));
    for broken in ["dc_api:subclouds:get: [", "- a list\n", "dc_api:subclouds:get: true\n", "x: 7\n"] {
        write(&site, "policy.yaml", broken);
        assert!(sees(&site, MEMBER_OF_DEMO, LIST).await && !sees(&site, READER, LIST).await, "{broken}");
        let (status, warnings) = ready().await;
        assert_eq!(status, 200);
        let said = warnings["policy"].as_str().unwrap();
        assert!(said.contains("stay in force") && !said.contains("policy.yaml"), "{said}");
    }
    write(&site, "policy.yaml", "");
    assert_eq!(ready().await, (200, json!({})));
    assert!(!sees(&site, MEMBER_OF_DEMO, LIST).await && sees(&site, READER, LIST).await);
}

#[tokio::test]
async fn ac_68_a_write_opened_to_members_is_theirs() {
    let site = behind_a_proxy().await;
    write(&site, "policy.yaml", "dc_api:subclouds:delete: role:member\n");
    site.add(1).await;
    let answer = ask(&site, MEMBER_OF_DEMO, "DELETE", "/v1.0/subclouds/subcloud1").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn the_past_has_a_rule_of_its_own() {
    let site = behind_a_proxy().await;
    site.add(1).await;
    let (now, past) = ("/v1.0/subclouds/subcloud1", "/v1.0/subclouds/subcloud1?as_of=1");
    assert!(sees(&site, READER, now).await && sees(&site, READER, past).await);
    write(&site, "policy.yaml", "dc_api:history:get: '!'\n");
    assert!(sees(&site, READER, now).await && !sees(&site, READER, past).await);
    assert!(!sees(&site, READER, "/v1.0/subclouds/subcloud1/history").await);
}
