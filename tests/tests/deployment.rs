//! Deployments of the example site with the real `ansible-playbook`: in one process, and with a process per role.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use dcm_tests::story::{after_runs, history, of_type, reaches, statuses};
use dcm_tests::{
    Form, Http, Installation, PlaybookProcess, Site, Way, WorkDir, encode, eventually, files_below,
    playbook_processes, repository,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
const SUBCLOUDS: &str = "/v1.0/subclouds/";
const PHASED: &str = "/v1.0/phased-subcloud-deploy/";

macro_rules! both_ways {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::Way::Embedded).await;
            })+
        }
        mod split {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::Way::Split).await;
            })+
        }
    };
}

both_ways!(
    jb_008_sc_113_real_files_are_deployed_and_deleted,
    jb_007_sc_239_a_failed_phase_says_why_and_is_resumed,
    sc_125_228_234_phases_one_by_one,
    sc_186_a_complete_subcloud_is_deployed_again,
    sc_246_a_phase_that_hangs_is_aborted_and_resumed,
);

async fn service(way: Way) -> Installation {
    Installation::start(way, None, |serve| serve).await
}

async fn embedded_with(key: &str, value: &Path) -> Installation {
    let setting = format!("{key}={}", value.display());
    Installation::start(Way::Embedded, None, |serve| serve.flag("--set", &setting)).await
}

async fn add(http: &Http, site: &Site) {
    let added = http.post_form(SUBCLOUDS, &site.add_form()).await.expect(200).json();
    assert_eq!(added["deploy-status"], "not-deployed", "{added}");
}

async fn verb(http: &Http, name: &str, verb: &str, form: &Form) -> Value {
    http.patch_form(&format!("{PHASED}{name}/{verb}"), form).await.expect(200).json()
}

/// The files of the example, byte for byte, in the form of `subcloud add`.
fn example_as_it_is() -> Form {
    let read = |name: &str| std::fs::read(repository().join("examples/site").join(name)).unwrap();
    Form::new()
        .file("bootstrap_values", "examples/site/bootstrap-values.yml", read("bootstrap-values.yml"))
        .file("install_values", "examples/site/install-values.yml", read("install-values.yml"))
        .file("deploy_config", "examples/site/deploy-config.yml", read("deploy-config.yml"))
        .field("bootstrap-address", "192.168.111.12")
        .field("sysadmin_password", &encode("Li69nux*"))
        .field("bmc_password", &encode("bmc-Secret1"))
}

/// Files of a subcloud that the service keeps, private directories of runs included.
fn kept_files(service: &Installation, name: &str) -> Vec<String> {
    let all = files_below(service.dir()).into_iter().map(|file| file.display().to_string());
    all.filter(|file| file.contains(name)).collect()
}

async fn jb_008_sc_113_real_files_are_deployed_and_deleted(way: Way) {
    let service = service(way).await;
    let http = service.http();
    let added = http.post_form(SUBCLOUDS, &example_as_it_is()).await.expect(200).json();
    assert_eq!((&added["deploy-status"], &added["updated-at"]), (&json!("not-deployed"), &Value::Null));
    let install: Value = serde_json::from_str(added["data_install"].as_str().unwrap()).unwrap();
    assert_eq!(install["bmc_password"], "***");

    let row = after_runs(&http, "edge1", 1).await;
    assert_eq!(
        (&row["deploy-status"], &row["error-description"]),
        (&json!("complete"), &json!("No errors present"))
    );
    // The other API process shows the same.
    assert_eq!(service.other_http().get_json("/v1.0/subclouds/edge1").await["deploy-status"], "complete");

    let events = history(&http, "edge1").await;
    let expected = [
        "creating",
        "create-complete",
        "pre-install",
        "installing",
        "install-complete",
        "pre-bootstrap",
        "bootstrapping",
        "bootstrap-complete",
        "pre-config",
        "configuring",
        "complete",
    ];
    assert_eq!(statuses(&events), expected);
    skipped_steps_say_why(&events);
    let log = service.playbook_log("edge1");
    command_lines_are_the_contracts(&log);
    assert!(log.contains("edge1 boots release 24.09 from eno1"), "{log}");
    assert!(log.contains("on 192.168.101.0/24"), "{log}");
    assert!(log.contains("edge1 gets 1 hosts"), "{log}");
    for file in ["edge1.yml", "edge1_inventory.yml", "edge1_deploy_values.yml", "edge1_deploy_config.yml"] {
        assert!(service.worker.data_dir().join("ansible").join(file).is_file(), "{file} is not kept");
    }

    let deleted = http.delete("/v1.0/subclouds/edge1").send().await.expect(200);
    assert_eq!(deleted.body, "null");
    let _ = http.get("/v1.0/subclouds/edge1").send().await.expect(404);
    eventually("the files of the deleted subcloud are gone", SOON, async || {
        let left = kept_files(&service, "edge1");
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    let _ = http.post_form(SUBCLOUDS, &example_as_it_is()).await.expect(200);
    let busy = http.delete("/v1.0/subclouds/edge1").send().await.expect(422);
    assert!(busy.body.contains("deployment in progress"), "{}", busy.body);
    assert_eq!(after_runs(&http, "edge1", 1).await["deploy-status"], "complete");
}

async fn sc_186_a_complete_subcloud_is_deployed_again(way: Way) {
    let service = service(way).await;
    let http = service.http();
    let _ = http.post_form(SUBCLOUDS, &example_as_it_is()).await.expect(200);
    assert_eq!(after_runs(&http, "edge1", 1).await["deploy-status"], "complete");
    let form = Form::new().field("sysadmin_password", &encode("Li69nux*")).field("description", "again");
    let answer = http.patch_form("/v1.0/subclouds/edge1/redeploy", &form).await.expect(200).json();
    assert_eq!((&answer["deploy-status"], &answer["description"]), (&json!("pre-install"), &json!("again")));
    let row = after_runs(&http, "edge1", 2).await;
    assert_eq!(
        (&row["deploy-status"], &row["error-description"]),
        (&json!("complete"), &json!("No errors present"))
    );
    let events = history(&http, "edge1").await;
    let again = statuses(&events).iter().rposition(|status| status == "pre-install").unwrap();
    assert_eq!(
        statuses(&events)[again..],
        [
            "pre-install",
            "installing",
            "install-complete",
            "pre-bootstrap",
            "bootstrapping",
            "bootstrap-complete",
            "pre-config",
            "configuring",
            "complete",
        ]
    );
    let log = service.playbook_log("edge1");
    assert_eq!(log.matches("Executing playbook command").count(), 6, "{log}");
}

/// Design §8: what has no outside system is recorded as skipped, with the reason.
fn skipped_steps_say_why(history: &[Value]) {
    let steps = of_type(history, "DeployStepRecorded");
    let skipped: Vec<&Value> = steps
        .iter()
        .map(|step| &step["data"])
        .filter(|step| step["outcome"]["result"] == "skipped")
        .collect();
    for step in &skipped {
        assert!(!step["outcome"]["reason"].as_str().unwrap().is_empty(), "{step}");
    }
    let reasons =
        skipped.iter().map(|step| step["outcome"]["reason"].to_string()).collect::<Vec<_>>().join("\n");
    for system in ["keystone", "platform", "dcorch", "fault management", "cert-manager", "iso"] {
        assert!(reasons.to_lowercase().contains(system), "nothing says that {system} is missing:\n{reasons}");
    }
    for phase in ["create", "install"] {
        assert!(skipped.iter().any(|step| step["phase"] == phase), "no skipped step of {phase}");
    }
}

/// jobs.md §0.6, seen in the header of each playbook's log (jobs.md §0.4).
fn command_lines_are_the_contracts(log: &str) {
    let headers: Vec<&str> = log.lines().filter(|line| line.contains("Executing playbook command")).collect();
    let playbooks = repository().join("examples/site/playbooks").display().to_string();
    assert_eq!(headers.len(), 3, "{log}");
    let in_order = |line: &str, parts: &[&str]| {
        let mut rest = line;
        for part in parts {
            let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} in its place in {line}"));
            rest = &rest[at + part.len()..];
        }
    };
    in_order(
        headers[0],
        &[
            "ansible-playbook",
            &format!("{playbooks}/install.yml"),
            "-i",
            "/edge1_inventory.yml",
            "--limit",
            "edge1",
            "-e",
            "@",
            "/edge1/install_values.yml",
            "-e",
            "install_release_version=24.09",
        ],
    );
    in_order(
        headers[1],
        &[
            "ansible-playbook",
            &format!("{playbooks}/bootstrap.yml"),
            "-i",
            "/edge1_inventory.yml",
            "--limit",
            "edge1",
            "-e",
            "override_files_dir=",
            "region_name=",
            "-e",
            "install_release_version=24.09",
        ],
    );
    in_order(
        headers[2],
        &[
            "ansible-playbook",
            "deploy_playbook_example.yaml",
            "-e",
            "@",
            "/edge1_deploy_values.yml",
            "-i",
            "/edge1_inventory.yml",
            "--limit",
            "edge1",
        ],
    );
}

/// One subcloud for each phase, which does `what` there.
fn one_per_phase(what: &Value) -> [(&'static str, Site); 3] {
    [
        ("install", Site::new("in-install", 1).install_does(what.clone())),
        ("bootstrap", Site::new("in-bootstrap", 2).without_install().bootstrap_does(what.clone())),
        ("config", Site::new("in-config", 3).without_install().config_does(what.clone())),
    ]
}

/// The same files, with which nothing goes wrong.
fn mended(site: &Site) -> Site {
    let mut site = site.clone();
    for values in
        [Some(&mut site.bootstrap), site.install.as_mut(), site.config.as_mut()].into_iter().flatten()
    {
        values.as_object_mut().unwrap().remove("dcm_example");
    }
    site
}

/// E21 with everything sent again, to the end.
async fn is_resumed(http: &Http, phase: &str, site: &Site) {
    let answer = verb(http, site.name(), "resume", &mended(site).resume_form()).await;
    assert_eq!(answer["deploy-status"], format!("pre-{phase}"), "{answer}");
    let row = after_runs(http, site.name(), 2).await;
    assert_eq!(
        (&row["deploy-status"], &row["error-description"]),
        (&json!("complete"), &json!("No errors present")),
        "{row}"
    );
}

async fn jb_007_sc_239_a_failed_phase_says_why_and_is_resumed(way: Way) {
    let service = service(way).await;
    let http = service.http();
    let sites = one_per_phase(&json!({"fail": true}));
    for (_, site) in &sites {
        add(&http, site).await;
    }
    for (phase, site) in &sites {
        let row = after_runs(&http, site.name(), 1).await;
        assert_eq!(row["deploy-status"], format!("{phase}-failed"), "{row}");
        let running = match *phase {
            "install" => "installing",
            "bootstrap" => "bootstrapping",
            _ => "configuring",
        };
        let text = row["error-description"].as_str().unwrap();
        let begin = format!("FAILED {running} playbook of ({}).", site.name());
        assert!(text.starts_with(&begin), "{text}");
        assert!(text.contains("err_code=bmc_cred The example was told to fail"), "{text}");
        assert!(text.contains("FAILED TASK: TASK [Fail]"), "{text}");
        let events = history(&http, site.name()).await;
        let ends = of_type(&events, "DeployRunFinished");
        assert_eq!((ends.len(), &ends[0]["data"]["outcome"]), (1, &json!("failed")));
    }
    for (phase, site) in &sites {
        is_resumed(&http, phase, site).await;
    }
}

async fn sc_125_228_234_phases_one_by_one(way: Way) {
    let service = service(way).await;
    let (http, other) = (service.http(), service.other_http());
    let site = Site::new("phased", 1);
    let created = http.post_form(PHASED, &site.create_form()).await.expect(200).json();
    assert_eq!(created["deploy-status"], "create-complete", "{created}");
    let _ = http.patch_form(&format!("{PHASED}phased/complete"), &Form::new()).await.expect(400);
    let _ = http.patch_form(&format!("{PHASED}phased/abort"), &Form::new()).await.expect(400);

    let answer = verb(&other, "phased", "install", &site.install_form()).await;
    assert_eq!(answer["deploy-status"], "pre-install", "{answer}");
    assert_eq!(after_runs(&http, "phased", 2).await["deploy-status"], "install-complete");
    let answer = verb(&http, "phased", "bootstrap", &site.bootstrap_form()).await;
    assert_eq!(answer["deploy-status"], "pre-bootstrap", "{answer}");
    assert_eq!(after_runs(&http, "phased", 3).await["deploy-status"], "bootstrap-complete");
    let answer = verb(&other, "phased", "configure", &site.config_form()).await;
    assert_eq!(answer["deploy-status"], "pre-config", "{answer}");
    assert_eq!(after_runs(&http, "phased", 4).await["deploy-status"], "complete");

    let site = Site::new("completed", 2).without_install().without_config();
    let _ = http.post_form(PHASED, &site.create_form()).await.expect(200);
    verb(&http, "completed", "bootstrap", &site.bootstrap_form()).await;
    assert_eq!(after_runs(&http, "completed", 2).await["deploy-status"], "bootstrap-complete");
    let answer = verb(&other, "completed", "complete", &Form::new()).await;
    assert_eq!(answer["deploy-status"], "complete", "{answer}");
}

/// Waits until a playbook of `dir` runs `sleep`.
async fn hangs(dir: &Path, subcloud: &str) -> Vec<PlaybookProcess> {
    eventually(format!("the playbook of {subcloud} hangs"), SOON, async || {
        let all = playbook_processes(dir);
        let own: Vec<&str> =
            all.iter().filter(|p| p.command.contains(subcloud)).map(|p| p.run.as_str()).collect();
        let ours: Vec<PlaybookProcess> =
            all.iter().filter(|p| own.contains(&p.run.as_str())).cloned().collect();
        match ours.iter().any(|process| process.command.starts_with("sleep ")) {
            true => Ok(ours),
            false => Err(all),
        }
    })
    .await
}

async fn sc_246_a_phase_that_hangs_is_aborted_and_resumed(way: Way) {
    let service = service(way).await;
    let http = service.http();
    let sites = one_per_phase(&json!({"hang": 3600}));
    for (_, site) in &sites {
        add(&http, site).await;
    }
    for (phase, site) in &sites {
        let processes = hangs(service.dir(), site.name()).await;
        let _ = http
            .patch_form(&format!("{PHASED}{}/resume", site.name()), &site.resume_form())
            .await
            .expect(400);
        let answer = verb(&http, site.name(), "abort", &Form::new()).await;
        assert_eq!(answer["deploy-status"], format!("aborting-{phase}"), "{answer}");
        let row = after_runs(&http, site.name(), 1).await;
        assert_eq!(row["deploy-status"], format!("{phase}-aborted"), "{row}");
        // The run has ended, so nothing of it may be left.
        let left: Vec<PlaybookProcess> =
            playbook_processes(service.dir()).into_iter().filter(|p| p.run == processes[0].run).collect();
        assert_eq!(left, []);
        let events = history(&http, site.name()).await;
        assert_eq!(of_type(&events, "DeployRunFinished")[0]["data"]["outcome"], "aborted");
    }
    for (phase, site) in &sites {
        is_resumed(&http, phase, site).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_fails_the_phase_at_once_and_is_named() {
    let missing = "/nonexistent/ansible-playbook";
    let service = embedded_with("deploy.ansible_playbook", Path::new(missing)).await;
    let http = service.http();
    add(&http, &Site::new("edge1", 1)).await;
    let row = after_runs(&http, "edge1", 1).await;
    assert_eq!(row["deploy-status"], "install-failed", "{row}");
    assert!(row["error-description"].as_str().unwrap().contains(missing), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jb_005_what_cannot_be_prepared_says_what_is_missing() {
    let empty = WorkDir::new("playbooks");
    let service = embedded_with("dirs.playbooks", empty.path()).await;
    let http = service.http();
    let sites =
        [("pre-install", Site::new("one", 1)), ("pre-bootstrap", Site::new("other", 2).without_install())];
    for (phase, site) in &sites {
        add(&http, site).await;
        let row = after_runs(&http, site.name(), 1).await;
        assert_eq!(row["deploy-status"], format!("{phase}-failed"), "{row}");
        let playbook = empty.path().join(phase.replace("pre-", "")).with_extension("yml");
        let text = row["error-description"].as_str().unwrap();
        assert!(text.contains(&playbook.display().to_string()), "{text}");
    }
}

/// A playbooks directory of the test's own: `install.yml` and `bootstrap.yml` with these tasks.
fn playbooks(install: &str, bootstrap: &str) -> WorkDir {
    let dir = WorkDir::new("playbooks");
    for (file, tasks) in [("install.yml", install), ("bootstrap.yml", bootstrap)] {
        let play = "- hosts: all\n  gather_facts: false\n  connection: local\n  vars:\n    \
                    ansible_python_interpreter: \"{{ ansible_playbook_python }}\"\n  tasks:\n";
        std::fs::write(dir.path().join(file), format!("{play}{tasks}")).unwrap();
    }
    dir
}

/// Creates the sentinel, works until `go` exists, and ends with the sentinel still there.
fn refuses_to_its_end(go: &Path, end: &str) -> String {
    format!(
        "    - ansible.builtin.copy: {{content: '', dest: \"{{{{ inventory_dir }}}}/.{{{{ inventory_hostname }}}}_deploy_not_abortable\"}}\n    \
         - ansible.builtin.wait_for: {{path: '{}', timeout: 120}}\n{end}",
        go.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_result_of_a_phase_that_refuses_its_abort_stands() {
    let signals = WorkDir::new("signals");
    let go = signals.path().join("go");
    let fails = "    - name: End badly\n      ansible.builtin.fail: {msg: 'it went wrong by itself'}\n";
    let playbooks = playbooks(&refuses_to_its_end(&go, ""), &refuses_to_its_end(&go, fails));
    let service = embedded_with("dirs.playbooks", playbooks.path()).await;
    let http = service.http();
    let sites = [
        ("install", "install-complete", Site::new("succeeds", 1)),
        ("bootstrap", "bootstrap-failed", Site::new("fails", 2).without_install()),
    ];
    for (phase, _, site) in &sites {
        add(&http, site).await;
        let sentinel = format!(".{}_deploy_not_abortable", site.name());
        eventually(format!("{} refuses to be aborted", site.name()), SOON, async || {
            let all = files_below(service.dir());
            if all.iter().any(|file| file.ends_with(&sentinel)) { Ok(()) } else { Err(all) }
        })
        .await;
        verb(&http, site.name(), "abort", &Form::new()).await;
        reaches(&http, site.name(), &format!("aborting-{phase}")).await;
        assert!(!playbook_processes(service.dir()).is_empty(), "the abort did not wait");
    }
    std::fs::write(&go, "").unwrap();
    for (_, status, site) in &sites {
        let row = after_runs(&http, site.name(), 1).await;
        assert_eq!(row["deploy-status"], *status, "{row}");
        let events = history(&http, site.name()).await;
        let ends = of_type(&events, "DeployRunFinished");
        assert_eq!((ends.len(), &ends[0]["data"]["outcome"]), (1, &json!("abort-superseded")));
    }
    let row = http.get_json("/v1.0/subclouds/fails").await;
    assert!(row["error-description"].as_str().unwrap().contains("it went wrong by itself"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_takes_hold_when_the_playbook_allows_it() {
    let service = service(Way::Embedded).await;
    let http = service.http();
    let signals = WorkDir::new("signals");
    let go = signals.path().join("go");
    let what = json!({"refuse_abort": 120, "refuse_abort_until": go.display().to_string(), "hang": 3600});
    let site = Site::new("edge1", 1).install_does(what);
    add(&http, &site).await;
    eventually("the playbook refuses to be aborted", SOON, async || {
        let all = files_below(service.dir());
        let refuses = all.iter().any(|file| file.ends_with(".edge1_deploy_not_abortable"));
        if refuses { Ok(()) } else { Err(all) }
    })
    .await;
    let answer = verb(&http, "edge1", "abort", &Form::new()).await;
    assert_eq!(answer["deploy-status"], "aborting-install");
    assert!(!playbook_processes(service.dir()).is_empty(), "the abort did not wait");
    std::fs::write(&go, "").unwrap();
    assert_eq!(after_runs(&http, "edge1", 1).await["deploy-status"], "install-aborted");
    assert_eq!(playbook_processes(service.dir()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_in_the_first_moment_of_a_phase_is_not_lost() {
    let service = service(Way::Embedded).await;
    let http = service.http();
    let hangs = |number| {
        Site::new(&format!("edge{number}"), number).without_install().bootstrap_does(json!({"hang": 3600}))
    };
    for site in (1..=3).map(hangs) {
        add(&http, &site).await;
        // The status is written before the playbook is started.
        reaches(&http, site.name(), "bootstrapping").await;
        verb(&http, site.name(), "abort", &Form::new()).await;
        assert_eq!(after_runs(&http, site.name(), 1).await["deploy-status"], "bootstrap-aborted");
        assert_eq!(playbook_processes(service.dir()), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_beyond_its_deadline_is_ended_and_says_so() {
    let service = embedded_with("deploy.phase_deadline_secs", Path::new("8")).await;
    let http = service.http();
    let site = Site::new("edge1", 1).without_install().bootstrap_does(json!({"hang": 3600}));
    add(&http, &site).await;
    let row = after_runs(&http, "edge1", 1).await;
    assert_eq!(row["deploy-status"], "bootstrap-failed", "{row}");
    assert!(row["error-description"].as_str().unwrap().contains("TIMEOUT"), "{row}");
    assert_eq!(playbook_processes(service.dir()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_a_user_is_never_a_template() {
    let bootstrap = "    - ansible.builtin.include_vars: {file: \"{{ override_files_dir }}/{{ inventory_hostname }}.yml\"}\n    \
                     - ansible.builtin.debug: {msg: \"<{{ description }}> at <{{ location }}>\"}\n";
    let playbooks = playbooks("", bootstrap);
    let service = embedded_with("dirs.playbooks", playbooks.path()).await;
    let http = service.http();
    let mut site = Site::new("edge1", 1).without_install().without_config();
    site.bootstrap["description"] = "{{ 7*7 }}".into();
    site.bootstrap["location"] = "{% set x = 6*9 %}{{ x }}{# none #} \"quoted\" 'too': yes".into();
    add(&http, &site).await;
    let row = after_runs(&http, "edge1", 1).await;
    assert_eq!(row["deploy-status"], "complete", "{}\n{row}", service.playbook_log("edge1"));
    assert_eq!(
        (&row["description"], &row["location"]),
        (&site.bootstrap["description"], &site.bootstrap["location"])
    );
    let log = service.playbook_log("edge1");
    let printed = json!(format!("<{{{{ 7*7 }}}}> at <{}>", site.bootstrap["location"].as_str().unwrap()));
    assert!(log.contains(&printed.to_string()), "not {printed} in {log}");
}
