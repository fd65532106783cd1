//! The runner with a real supervisor and small shell programs in place of playbooks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::supervisor::tests::this_test_program;
use super::{Limits, Outcome, Playbook, ProcessIdentity, Redactor, Report, RunError, Runner, group_alive};

const SOON: Duration = Duration::from_secs(20);

/// A run of `sh -c script` in a directory of its own, which is the script's `$1`.
struct Bench {
    directory: TempDir,
    limits: Limits,
    deadline: Duration,
}

impl Bench {
    fn new() -> Self {
        let limits = Limits {
            abort_wait: Duration::from_secs(10),
            abort_poll: Duration::from_millis(20),
            grace: Duration::from_secs(5),
        };
        Self { directory: tempfile::tempdir().unwrap(), limits, deadline: Duration::from_secs(60) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn playbook(&self, script: &str) -> Playbook {
        Playbook {
            program: "/bin/sh".into(),
            args: ["-c", script, "sh"]
                .map(OsString::from)
                .into_iter()
                .chain([self.path("").into()])
                .collect(),
            log: self.path("log"),
            sentinels: vec![self.path("sentinel")],
            private_dir: self.path(""),
            deadline: self.deadline,
            environment: Vec::new(),
        }
    }

    fn runner(&self) -> Runner {
        Runner::new(this_test_program(), self.limits)
    }

    async fn run(&self, script: &str) -> Report {
        let prepared = self.runner().prepare(self.playbook(script)).await.unwrap();
        let identity = prepared.identity().clone();
        let report = prepared.run(&Redactor::new(["Li69nux*"]), CancellationToken::new()).await.unwrap();
        assert!(!group_alive(&identity), "a process outlived its run");
        report
    }

    /// Runs `script` and aborts it once it has made the file `begun`; `then` runs a moment after the abort.
    async fn abort(&self, script: &str, then: impl FnOnce()) -> Report {
        let abort = CancellationToken::new();
        let prepared = self.runner().prepare(self.playbook(script)).await.unwrap();
        let identity = prepared.identity().clone();
        let aborting = async {
            until("begun", || self.path("begun").exists()).await;
            abort.cancel();
            tokio::time::sleep(Duration::from_millis(200)).await;
            then();
        };
        let redactor = Redactor::new([]);
        let (report, ()) = tokio::join!(prepared.run(&redactor, abort.clone()), aborting);
        assert!(!group_alive(&identity), "a process outlived its run");
        report.unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < SOON, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn pid_in(path: &Path) -> Option<Pid> {
    Some(Pid::from_raw(std::fs::read_to_string(path).ok()?.trim().parse().ok()?))
}

#[tokio::test]
async fn logs_a_header_and_the_redacted_output_in_order() {
    let bench = Bench::new();
    let report = bench.run("echo one; echo Li69nux* >&2; printf three").await;
    assert_eq!(report, Report { outcome: Outcome::Succeeded, tail: "one\n***\nthree".into() });
    let log = bench.log();
    let (header, output) = log.split_once('\n').unwrap();
    assert!(header.contains(" Executing playbook command (timeout: 60s): /bin/sh -c "), "{header}");
    assert!(!header.contains("Li69nux*"));
    assert_eq!(output, "one\n***\nthree");
}

#[tokio::test]
async fn tells_the_exit_code_and_the_signal_of_a_failure() {
    let bench = Bench::new();
    assert_eq!(bench.run("exit 3").await.outcome, Outcome::Failed { exit: 3 });
    assert_eq!(bench.run("kill -KILL $$").await.outcome, Outcome::Failed { exit: 137 });
}

#[tokio::test]
async fn names_a_missing_program() {
    let bench = Bench::new();
    let playbook = Playbook { program: "no-such-ansible-playbook".into(), ..bench.playbook("") };
    let prepared = bench.runner().prepare(playbook).await.unwrap();
    let report = prepared.run(&Redactor::new([]), CancellationToken::new()).await.unwrap();
    assert_eq!(report.outcome, Outcome::ProgramMissing { program: "no-such-ansible-playbook".into() });
}

#[tokio::test]
async fn a_missing_supervisor_and_a_foreign_variable_are_errors() {
    let bench = Bench::new();
    let mut supervisor = this_test_program();
    supervisor.program = "/no/such/dcm".into();
    let error = Runner::new(supervisor, bench.limits).prepare(bench.playbook("")).await.unwrap_err();
    assert!(matches!(error, RunError::Supervisor { .. }), "{error}");
    let playbook = Playbook { environment: vec![("LD_PRELOAD".into(), "x".into())], ..bench.playbook("") };
    let error = bench.runner().prepare(playbook).await.unwrap_err();
    assert!(matches!(error, RunError::Variable(name) if name == "LD_PRELOAD"));
}

#[tokio::test]
async fn the_environment_is_the_allow_list() {
    let bench = Bench::new();
    let report = bench.run("env").await;
    let mut names: Vec<&str> = report.tail.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // The shell's own.
    names.retain(|name| !["PWD", "_", "OLDPWD", "SHLVL", "VIRTUAL_ENV"].contains(name));
    names.sort_unstable();
    let expected = [
        "ANSIBLE_HOME",
        "ANSIBLE_LOCAL_TEMP",
        "ANSIBLE_LOG_PATH",
        "ANSIBLE_NOCOLOR",
        "ANSIBLE_REMOTE_TEMP",
        "DCM_PLAYBOOK_RUN",
        "HOME",
        "LANG",
        "PATH",
        "TMPDIR",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn an_abort_ends_what_left_the_process_group_too() {
    let bench = Bench::new();
    let script = "setsid sh -c 'echo $$ > $0/detached; exec sleep 1000' $1 & \
                  while [ ! -s $1/detached ]; do sleep 0.05; done; touch $1/begun; wait";
    let report = bench.abort(script, || {}).await;
    assert_eq!(report.outcome, Outcome::Aborted);
    let detached = pid_in(&bench.path("detached")).unwrap();
    assert!(kill(detached, None).is_err(), "the detached process is alive");
}

#[tokio::test]
async fn an_abort_before_the_start_runs_nothing() {
    let bench = Bench::new();
    let prepared = bench.runner().prepare(bench.playbook("touch $1/begun")).await.unwrap();
    let abort = CancellationToken::new();
    abort.cancel();
    let report = prepared.run(&Redactor::new([]), abort).await.unwrap();
    assert_eq!(report.outcome, Outcome::Aborted);
    assert!(!bench.path("begun").exists());
}

#[tokio::test]
async fn an_abort_waits_for_the_sentinel() {
    let bench = Bench::new();
    std::fs::write(bench.path("sentinel"), "").unwrap();
    let script = "[ -e $1/sentinel ] && exit 9; touch $1/sentinel $1/begun; \
                  while [ ! -e $1/go ]; do sleep 0.05; done; touch $1/went; rm $1/sentinel; exec sleep 1000";
    let report = bench.abort(script, || std::fs::write(bench.path("go"), "").unwrap()).await;
    assert_eq!(report.outcome, Outcome::Aborted);
    assert!(bench.path("went").exists());
}

#[tokio::test]
async fn a_playbook_that_ends_while_its_abort_waits_has_its_own_result() {
    for (code, outcome) in [(0, Outcome::Succeeded), (4, Outcome::Failed { exit: 4 })] {
        let bench = Bench::new();
        let script =
            format!("touch $1/sentinel $1/begun; while [ ! -e $1/go ]; do sleep 0.05; done; exit {code}");
        let report = bench.abort(&script, || std::fs::write(bench.path("go"), "").unwrap()).await;
        assert_eq!(report.outcome, outcome);
    }
}

#[tokio::test]
async fn a_playbook_that_refuses_its_abort_too_long_has_failed() {
    let mut bench = Bench::new();
    bench.limits.abort_wait = Duration::from_millis(300);
    let report = bench.abort("touch $1/sentinel $1/begun; exec sleep 1000", || {}).await;
    assert_eq!(report.outcome, Outcome::Failed { exit: 143 });
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed_after_the_grace() {
    let mut bench = Bench::new();
    bench.limits.grace = Duration::from_millis(300);
    let report = bench.abort("trap '' TERM; touch $1/begun; while :; do sleep 1; done", || {}).await;
    assert_eq!(report.outcome, Outcome::Aborted);
}

#[tokio::test]
async fn the_deadline_ends_a_playbook_and_is_logged() {
    let mut bench = Bench::new();
    bench.deadline = Duration::from_millis(500);
    let report = bench.run("echo begun; exec sleep 1000").await;
    assert_eq!(report.outcome, Outcome::TimedOut);
    assert!(bench.log().ends_with("begun\nTIMEOUT\n"));
}

#[tokio::test]
async fn what_a_finished_playbook_left_running_is_ended() {
    let bench = Bench::new();
    let report = bench.run("setsid sleep 1000 & echo done").await;
    assert_eq!(report, Report { outcome: Outcome::Succeeded, tail: "done\n".into() });
}

#[tokio::test]
async fn the_supervisor_outlives_the_signals_that_end_a_worker() {
    let bench = Bench::new();
    let prepared = bench.runner().prepare(bench.playbook("touch $1/begun; exec sleep 1000")).await.unwrap();
    let identity = prepared.identity().clone();
    let abort = CancellationToken::new();
    let signalling = async {
        until("begun", || bench.path("begun").exists()).await;
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
            kill(Pid::from_raw(identity.session), signal).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(group_alive(&identity) && !identity.members().is_empty());
        abort.cancel();
    };
    let redactor = Redactor::new([]);
    let (report, ()) = tokio::join!(prepared.run(&redactor, abort.clone()), signalling);
    assert_eq!(report.unwrap().outcome, Outcome::Aborted);
}

#[tokio::test]
async fn a_killed_supervisor_is_an_error_and_its_playbook_is_ended() {
    let bench = Bench::new();
    let script = "setsid sleep 1000 & touch $1/begun; exec sleep 1000";
    let prepared = bench.runner().prepare(bench.playbook(script)).await.unwrap();
    let identity = prepared.identity().clone();
    let killing = async {
        until("begun", || bench.path("begun").exists()).await;
        kill(Pid::from_raw(identity.session), Signal::SIGKILL).unwrap();
    };
    let redactor = Redactor::new([]);
    let (report, ()) = tokio::join!(prepared.run(&redactor, CancellationToken::new()), killing);
    assert!(matches!(report, Err(RunError::SupervisorLost)));
    assert!(!group_alive(&identity));
}

#[tokio::test]
async fn a_dropped_run_ends() {
    let bench = Bench::new();
    let prepared = bench.runner().prepare(bench.playbook("touch $1/begun")).await.unwrap();
    let identity = prepared.identity().clone();
    drop(prepared);
    until("the unused supervisor's end", || !group_alive(&identity)).await;
    assert!(!bench.path("begun").exists());

    let prepared = bench.runner().prepare(bench.playbook("touch $1/begun; exec sleep 1000")).await.unwrap();
    let identity = prepared.identity().clone();
    let redactor = Redactor::new([]);
    tokio::select! {
        _ = prepared.run(&redactor, CancellationToken::new()) => panic!("it ended by itself"),
        () = until("begun", || bench.path("begun").exists()) => {}
    }
    until("the dropped run's end", || !group_alive(&identity)).await;
}

const WORKER_DIRECTORY: &str = "DCM_TEST_WORKER_DIRECTORY";

/// No test in an ordinary run: the worker that [`nothing_outlives_a_killed_worker`] starts and kills.
#[tokio::test]
async fn worker_entry() {
    let Some(directory) = std::env::var_os(WORKER_DIRECTORY) else { return };
    let directory = PathBuf::from(directory);
    let bench = Bench { directory: tempfile::tempdir_in(&directory).unwrap(), ..Bench::new() };
    let mut playbook = bench.playbook(
        "trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' & touch $1/begun; \
         while :; do echo alive; sleep 1; done",
    );
    playbook.args.pop();
    playbook.args.push(directory.clone().into());
    let prepared = bench.runner().prepare(playbook).await.unwrap();
    std::fs::write(directory.join("identity"), serde_json::to_string(prepared.identity()).unwrap()).unwrap();
    let _ = prepared.run(&Redactor::new([]), CancellationToken::new()).await;
}

#[tokio::test]
async fn nothing_outlives_a_killed_worker() {
    let directory = tempfile::tempdir().unwrap();
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::worker_entry"), "--nocapture"])
        .env(WORKER_DIRECTORY, directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("begun", || directory.path().join("begun").exists()).await;
    let identity = std::fs::read_to_string(directory.path().join("identity")).unwrap();
    let identity: ProcessIdentity = serde_json::from_str(&identity).unwrap();
    assert!(identity.members().len() >= 2);
    worker.kill().unwrap();
    let killed = Instant::now();
    worker.wait().unwrap();
    until("the end of everything", || !group_alive(&identity)).await;
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
}
