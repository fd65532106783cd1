//! The playbooks of `examples/site`, run by the real `ansible-playbook` with the command lines of jobs.md §0.6.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::error_text::Failed;
use super::supervisor::tests::this_test_program;
use super::{
    Limits, Outcome, Playbook, ProcessIdentity, Redactor, Report, Runner, group_alive, log_path,
    sentinel_path,
};

const PASSWORD: &str = "Li69nux*\"é/ and more";
const NAME: &str = "edge1";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn site() -> PathBuf {
    root().join("examples/site").canonicalize().unwrap()
}

fn ansible() -> PathBuf {
    let program = std::env::var_os("DCM_TEST_ANSIBLE")
        .map_or_else(|| root().join(".tools/ansible/bin/ansible-playbook"), PathBuf::from);
    assert!(
        program.exists(),
        "{} does not exist: install ansible-core into a virtual environment .tools/ansible (as tests/run does), \
         or let DCM_TEST_ANSIBLE name an ansible-playbook",
        program.display()
    );
    program
}

fn values(file: &str) -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(site().join(file)).unwrap()).unwrap()
}

/// The files of one run, as a deploy worker writes them.
struct Run {
    directory: TempDir,
}

impl Run {
    fn new() -> Self {
        let run = Self { directory: tempfile::tempdir().unwrap() };
        let inventory = json!({"all": {
            "vars": {"ansible_ssh_user": "sysadmin", "initial_deployment": true},
            "hosts": {NAME: {"ansible_host": "192.168.111.12"}},
        }});
        run.write(&format!("{NAME}_inventory.yml"), &inventory);
        run
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, value: &Value) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), serde_json::to_string_pretty(value).unwrap()).unwrap();
    }

    fn playbook(&self, args: Vec<OsString>) -> Playbook {
        Playbook {
            program: ansible(),
            args,
            log: log_path(self.directory.path(), NAME),
            sentinels: vec![sentinel_path(self.directory.path(), NAME)],
            private_dir: self.path(""),
            deadline: Duration::from_secs(120),
            environment: Vec::new(),
        }
    }

    fn target(&self) -> [OsString; 4] {
        let inventory = self.path(&format!("{NAME}_inventory.yml"));
        ["-i".into(), inventory.into(), "--limit".into(), NAME.into()]
    }

    fn install(&self, example: Value) -> Playbook {
        let mut install = values("install-values.yml");
        install["dcm_example"] = example;
        install["ansible_ssh_pass"] = PASSWORD.into();
        self.write(&format!("{NAME}/install_values.yml"), &install);
        let mut file = OsString::from("@");
        file.push(self.path(&format!("{NAME}/install_values.yml")));
        let mut args: Vec<OsString> = vec![site().join("playbooks/install.yml").into()];
        args.extend(self.target());
        args.extend(["-e".into(), file, "-e".into(), "install_release_version=24.09".into()]);
        self.playbook(args)
    }

    fn bootstrap(&self, example: Value) -> Playbook {
        let mut overrides = values("bootstrap-values.yml");
        overrides["distributed_cloud_role"] = "subcloud".into();
        overrides["dcm_example"] = example;
        overrides["ansible_become_pass"] = PASSWORD.into();
        self.write(&format!("{NAME}.yml"), &overrides);
        let directory = self.directory.path().display();
        let variables = format!("override_files_dir='{directory}' region_name=0123456789abcdef");
        let mut args: Vec<OsString> = vec![site().join("playbooks/bootstrap.yml").into()];
        args.extend(self.target());
        args.extend(["-e".into(), variables.into(), "-e".into(), "install_release_version=24.09".into()]);
        self.playbook(args)
    }

    fn config(&self, example: Value) -> Playbook {
        let mut config = values("deploy-config.yml");
        config["dcm_example"] = example;
        self.write(&format!("{NAME}_deploy_config.yml"), &config);
        let deploy = site().join("deploy/24.09");
        self.write(
            &format!("{NAME}_deploy_values.yml"),
            &json!({
                "ansible_become_pass": PASSWORD, "ansible_ssh_pass": PASSWORD, "admin_password": PASSWORD,
                "deployment_config": self.path(&format!("{NAME}_deploy_config.yml")),
                "deployment_manager_chart": deploy.join("deploy_chart_example.tgz"),
                "deployment_manager_overrides": deploy.join("deploy_overrides_example.yaml"),
                "user_uploaded_artifacts": true,
            }),
        );
        let mut file = OsString::from("@");
        file.push(self.path(&format!("{NAME}_deploy_values.yml")));
        let mut args: Vec<OsString> = vec![deploy.join("deploy_playbook_example.yaml").into()];
        args.extend(["-e".into(), file]);
        args.extend(self.target());
        self.playbook(args)
    }

    /// Runs a playbook; aborts it when `abort_when` says so.
    async fn run(&self, playbook: Playbook, abort_when: impl Fn(&ProcessIdentity) -> bool) -> Report {
        let runner = Runner::new(this_test_program(), Limits::default());
        let abort = CancellationToken::new();
        let prepared = runner.prepare(playbook).await.unwrap();
        let identity = prepared.identity().clone();
        let redactor = Redactor::new([PASSWORD]);
        let aborting = async {
            while !abort_when(&identity) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            abort.cancel();
            std::future::pending::<()>().await;
        };
        let report = tokio::select! {
            report = prepared.run(&redactor, abort.clone()) => report.unwrap(),
            () = aborting => panic!("the abort does not end"),
        };
        assert!(!group_alive(&identity), "a process outlived its run");
        report
    }

    fn log(&self) -> String {
        std::fs::read_to_string(log_path(self.directory.path(), NAME)).unwrap()
    }

    /// The sleeping program of `hang` is among the run's processes.
    fn hangs(identity: &ProcessIdentity) -> bool {
        identity.members().iter().any(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep\0"))
        })
    }
}

fn never(_: &ProcessIdentity) -> bool {
    false
}

#[tokio::test]
async fn the_three_phases_succeed() {
    let run = Run::new();
    for (playbook, said) in [
        (run.install(Value::Null), "edge1 boots release 24.09 from eno1"),
        (run.bootstrap(Value::Null), "edge1 becomes region 0123456789abcdef on 192.168.101.0/24"),
        (run.config(Value::Null), "edge1 gets 1 hosts"),
    ] {
        let report = run.run(playbook, never).await;
        assert_eq!(report.outcome, Outcome::Succeeded, "{}", report.tail);
        assert!(report.tail.contains(said), "{}", report.tail);
    }
    assert_eq!(run.log().matches(" Executing playbook command (timeout: 120s): ").count(), 3);
}

#[tokio::test]
async fn a_printed_password_and_a_failure_text_show_stars() {
    let run = Run::new();
    let example = json!({"print_password": true, "fail": true});
    let playbooks = [run.install(example.clone()), run.bootstrap(example.clone()), run.config(example)];
    for playbook in playbooks {
        let log = playbook.log.clone();
        let report = run.run(playbook, never).await;
        assert_eq!(report.outcome, Outcome::Failed { exit: 2 }, "{}", report.tail);
        let printed = "The password is ***, in base64 ***, in a URL ***, in JSON \\\"***\\\"";
        assert!(report.tail.contains(printed), "{}", report.tail);
        let text = Failed { stage: "installing", subcloud: NAME }.playbook(&report.tail, &log);
        assert!(
            text.contains("err_code=bmc_cred The example was told to fail with the password ***"),
            "{text}"
        );
        assert!(text.contains("\n FAILED TASK: TASK ["), "{text}");
    }
    let log = run.log();
    for part in ["Li69", "and more", "TGk2OW", "Li69nux%2A"] {
        assert!(!log.contains(part), "{part}: {log}");
    }
}

#[tokio::test]
async fn a_hanging_playbook_can_be_aborted_and_leaves_no_process() {
    let run = Run::new();
    let begun = Instant::now();
    // What a killed module would leave behind is in the directory that is removed with the run.
    let modules = std::cell::Cell::new(0);
    let report = run
        .run(run.install(json!({"hang": 600})), |identity| {
            modules.set(std::fs::read_dir(run.path(".ansible/tmp")).map_or(0, Iterator::count));
            Run::hangs(identity)
        })
        .await;
    assert_eq!(report.outcome, Outcome::Aborted);
    assert_eq!(modules.get(), 1);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_playbook_can_refuse_its_abort_for_a_while() {
    let run = Run::new();
    let sentinel = sentinel_path(run.directory.path(), NAME);
    let release = run.path("release");
    let example = json!({"refuse_abort": 60, "refuse_abort_until": release, "hang": 600});
    let asked = std::cell::Cell::new(false);
    let report = run
        .run(run.bootstrap(example), |_| {
            if sentinel.exists() && !asked.replace(true) {
                let release = release.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    std::fs::write(release, "").unwrap();
                });
            }
            asked.get()
        })
        .await;
    assert_eq!(report.outcome, Outcome::Aborted, "{}", report.tail);
    assert!(report.tail.contains("TASK [Remove the abort sentinel]"), "{}", report.tail);
    assert!(!sentinel.exists());
}
