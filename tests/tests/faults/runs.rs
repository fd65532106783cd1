//! Runs whose worker is gone, or was never there.

use dcm_tests::story::{after_runs, history, of_type};
use dcm_tests::{Dcm, Ledger, Postgres, Site, Split, WorkDir, eventually, files_below, on_the_example_site};
use serde_json::json;

use crate::ALONE;
use crate::deployments::{failed, hangs, nothing_outlived, nothing_outlives_its_worker};
use crate::scene::{Part, REST, every_run_ended_once, none_has_ended, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_no_worker_takes_ends_by_itself() {
    let _alone = ALONE.lock().await;
    let split = Split::on(Postgres::shared().await).await;
    let start = |name, roles| {
        let serve = split.serve(name, roles).flag("--set", "deploy.claim_within_secs=3");
        async move { serve.start().await }
    };
    let (api, _relay, _projector) =
        (start("api", "api").await, start("relay", "relay").await, start("projector", "projector").await);
    let http = api.http();
    let _ = http.post_form("/v1.0/subclouds/", &Site::new("waits", 1).add_form()).await.expect(200);
    let row = after_runs(&http, "waits", 1).await;
    failed(&row, "create-failed", "no worker for deploy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_worker_whose_run_was_ended_reports_nothing_and_leaves_nothing() {
    let _alone = ALONE.lock().await;
    let split = Split::on(Postgres::shared().await).await;
    let names = [("api", "api"), ("relay", "relay"), ("projector", "projector"), ("worker-1", "worker")];
    let mut parts = Vec::new();
    for (name, roles) in names {
        parts.push(Part { name, dcm: settings(split.serve(name, roles)).start().await });
    }
    let http = parts[0].dcm.http();
    let site = Site::new("edge1", 1).without_install().without_config();
    let works = site.clone().bootstrap_does(json!({"hang": 5}));
    let _ = http.post_form("/v1.0/subclouds/", &works.add_form()).await.expect(200);
    hangs(split.dir()).await;
    parts[3].dcm.pause();
    // Its playbook goes on to its end; then nobody is left to report on it.
    parts.push(Part { name: "worker-2", dcm: settings(split.serve("worker-2", "worker")).start().await });
    let row = after_runs(&http, "edge1", 1).await;
    failed(&row, "bootstrap-failed", "worker lost");
    parts[3].dcm.resume();
    let resume = "/v1.0/phased-subcloud-deploy/edge1/resume";
    let _ = http.patch_form(resume, &site.resume_form()).await.expect(200);
    assert_eq!(after_runs(&http, "edge1", 2).await["deploy-status"], "complete");
    eventually("the directories of both runs are gone", REST, async || {
        let all = files_below(split.dir());
        let left: Vec<_> = all.into_iter().filter(|file| file.iter().any(|part| part == "runs")).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    let ledger = Ledger::read(&split.journal()).await;
    every_run_ended_once(&ledger);
    assert_eq!(ledger.ends_of_runs().len(), 2);
    none_has_ended(&mut parts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_process_was_killed_ends_as_worker_lost_and_can_be_resumed() {
    let _alone = ALONE.lock().await;
    let dir = WorkDir::new("lost");
    let serve = settings(on_the_example_site(Dcm::serve())).data_dir(&dir.path().join("data"));
    let mut dcm = serve.start().await;
    let site = Site::new("edge1", 1).install_does(json!({"hang": 3600}));
    let _ = dcm.http().post_form("/v1.0/subclouds/", &site.add_form()).await.expect(200);
    hangs(dir.path()).await;
    dcm.kill();
    let gone = nothing_outlives_its_worker(dir.path());
    dcm.restart().await;
    nothing_outlived(vec![gone]);
    let http = dcm.http();
    let row = after_runs(&http, "edge1", 1).await;
    failed(&row, "install-failed", "worker lost");
    let events = history(&http, "edge1").await;
    assert_eq!(of_type(&events, "DeployRunFinished")[0]["data"]["outcome"], "lost");
    let mended = Site::new("edge1", 1);
    let path = "/v1.0/phased-subcloud-deploy/edge1/resume";
    let _ = http.patch_form(path, &mended.resume_form()).await.expect(200);
    assert_eq!(after_runs(&http, "edge1", 2).await["deploy-status"], "complete");
}
