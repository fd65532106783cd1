//! Waiting for what a deployment does, as a client sees it: the row and the history of a subcloud.

use std::time::Duration;

use serde_json::Value;

use crate::http::Http;
use crate::wait::eventually;

/// How long a run may take in which no playbook was told to hang: three of them, beside others, on a slow machine.
const RUN: Duration = Duration::from_secs(120);
/// How long something may take that only has to be noticed.
const NOTICED: Duration = Duration::from_secs(60);

/// Everything that happened to a subcloud, oldest first; `subcloud` is a name or, of a deleted one, its uuid.
pub async fn history(http: &Http, subcloud: &str) -> Vec<Value> {
    let page = http.get_json(&format!("/v1.0/subclouds/{subcloud}/history?limit=1000")).await;
    assert_eq!(page["next"], Value::Null, "a history of more than one page");
    page["events"].as_array().unwrap_or_else(|| panic!("no history: {page}")).clone()
}

/// The events of one type in a history.
pub fn of_type<'a>(history: &'a [Value], name: &str) -> Vec<&'a Value> {
    history.iter().filter(|event| event["type"] == name).collect()
}

/// The deploy statuses that a history went through.
pub fn statuses(history: &[Value]) -> Vec<String> {
    let changes = of_type(history, "DeployStatusChanged").into_iter();
    changes.map(|event| event["data"]["to"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Waits until `runs` runs of the subcloud have ended, and gives its row then.
pub async fn after_runs(http: &Http, subcloud: &str, runs: usize) -> Value {
    eventually(format!("run {runs} of {subcloud} ends"), RUN, async || {
        let history = history(http, subcloud).await;
        match of_type(&history, "DeployRunFinished").len() >= runs {
            true => Ok(()),
            false => Err(statuses(&history)),
        }
    })
    .await;
    http.get_json(&format!("/v1.0/subclouds/{subcloud}")).await
}

/// Waits until the row shows the deploy status, and gives it.
pub async fn reaches(http: &Http, subcloud: &str, status: &str) -> Value {
    eventually(format!("{subcloud} is {status}"), NOTICED, async || {
        let row = http.get_json(&format!("/v1.0/subclouds/{subcloud}")).await;
        if row["deploy-status"] == status { Ok(row) } else { Err(row["deploy-status"].clone()) }
    })
    .await
}
