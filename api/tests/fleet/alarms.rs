//! Alarm counts, F39 and F40 (fleet.md §11).

use dcm_domain::aggregate::{Command, Facts};
use dcm_domain::subcloud::{AlarmSummary, AlarmSummaryChanged, Rejection, Subcloud, SubcloudEvent};
use serde::Serialize;
use serde_json::json;

use crate::ask::*;
use crate::site::Site;

const PATH: &str = "/v1.0/alarms";

/// What an audit of a subcloud's alarms reports.
#[derive(Serialize)]
struct Report(AlarmSummary);

impl Command<Subcloud> for Report {
    type Rejection = Rejection;
    const NAME: &'static str = "Report";

    fn decide(&self, _: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        Ok(vec![AlarmSummaryChanged { summary: self.0.clone() }.into()])
    }
}

fn degraded() -> Report {
    Report(AlarmSummary {
        critical_alarms: 0,
        major_alarms: 1,
        minor_alarms: 0,
        warnings: 2,
        cloud_status: "degraded".to_owned(),
    })
}

#[tokio::test]
async fn fl_140_the_newest_comes_first() {
    let site = Site::start().await;
    assert_eq!(site.get(PATH).await.json(), json!({"alarm_summary": []}));
    let one = site.add(1).await;
    let two = site.add(2).await;
    let rows = site.get(&format!("{PATH}/")).await.json()["alarm_summary"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    let expected = json!({
        "region_name": "subcloud2",
        "uuid": rows[0]["uuid"],
        "critical_alarms": -1,
        "major_alarms": -1,
        "minor_alarms": -1,
        "warnings": -1,
        "cloud_status": "disabled",
    });
    assert_eq!((&rows[0], &rows[1]["region_name"]), (&expected, &json!("subcloud1")));
    let uuid: uuid::Uuid = rows[0]["uuid"].as_str().unwrap().parse().unwrap();
    assert!(uuid != two && rows[0]["uuid"] != rows[1]["uuid"]);

    site.run(one, &degraded()).await;
    let rows = site.get(PATH).await.json()["alarm_summary"].as_array().unwrap().clone();
    assert_eq!((&rows[1]["cloud_status"], &rows[1]["warnings"]), (&json!("degraded"), &json!(2)));
    site.delete(two).await;
    assert_eq!(site.get(PATH).await.json()["alarm_summary"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_method_summary_counts_what_is_known() {
    let site = Site::start().await;
    let one = site.add(1).await;
    site.add(2).await;
    site.run(one, &degraded()).await;
    let answer = bare(&site, "SUMMARY", PATH).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"critical": 0, "degraded": 1, "OK": 0})));
    for method in ["POST", "PATCH", "DELETE", "OTHER"] {
        let answer = bare(&site, method, PATH).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, SUMMARY"), "{method}");
    }
    assert_eq!(site.get(&format!("{PATH}/summary")).await.status, 404);
    let site = behind_a_proxy(site);
    assert_eq!(site.ask("SUMMARY", PATH, &somebody("reader", "admin"), "").await.status, 200);
    assert_eq!(site.ask("SUMMARY", PATH, &somebody("reader", "demo"), "").await.status, 403);
    assert_eq!(site.ask("SUMMARY", PATH, &[], "").await.status, 401);
}
