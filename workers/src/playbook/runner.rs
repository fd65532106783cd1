//! The worker's side of a playbook run (jobs.md §0.4): starts the supervisor, gives the order, logs the redacted
//! output, carries an abort through, and gives exactly one result.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use chrono::Utc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::environment;
use super::output::{DRAINED_WITHIN, Log, header, pump};
use super::processes::ProcessIdentity;
use super::protocol::{Cause, Notice, Order, encode};
use super::redact::Redactor;
use super::run::{Limits, Outcome, Playbook, Report, RunError, Supervisor};

const READY_WITHIN: Duration = Duration::from_secs(10);
/// The supervisor itself ends a playbook at its deadline; this long after it should have, it is held for stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Runs playbooks.
#[derive(Clone, Debug)]
pub struct Runner {
    supervisor: Supervisor,
    limits: Limits,
}

impl Runner {
    /// A runner that starts its supervisors as `supervisor` says and keeps to `limits`.
    pub fn new(supervisor: Supervisor, limits: Limits) -> Self {
        Self { supervisor, limits }
    }

    /// Starts the supervisor. Nothing of the playbook runs yet, so that the caller can record the identity first;
    /// dropping the result ends the supervisor.
    pub async fn prepare(&self, playbook: Playbook) -> Result<Prepared, RunError> {
        if let Some((name, _)) = playbook.environment.iter().find(|(name, _)| !name.starts_with("ANSIBLE_")) {
            return Err(RunError::Variable(name.clone()));
        }
        let lost = |source| RunError::Supervisor { program: self.supervisor.program.clone(), source };
        let mut child = self.spawn(&playbook).map_err(lost)?;
        let (Some(orders), Some(notices), Some(output)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(RunError::SupervisorLost);
        };
        let mut notices = Notices { lines: BufReader::new(notices).lines() };
        let ready = tokio::time::timeout(READY_WITHIN, notices.next()).await;
        let Ok(Some(Notice::Ready(identity))) = ready else {
            return Err(lost(io::Error::other("it does not report that it is ready")));
        };
        Ok(Prepared { playbook, limits: self.limits, child, orders, notices, output, identity })
    }

    fn spawn(&self, playbook: &Playbook) -> io::Result<Child> {
        let marker = Uuid::new_v4().to_string();
        let environment = environment::build(
            |name| std::env::var_os(name),
            &playbook.environment,
            &playbook.private_dir,
            &marker,
        );
        Command::new(&self.supervisor.program)
            .arg0("dcm")
            .args(&self.supervisor.leading_args)
            .arg("--")
            .arg(&playbook.program)
            .args(&playbook.args)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
}

/// A playbook whose supervisor is up and waits for the start. Dropped, it runs nothing.
#[derive(Debug)]
pub struct Prepared {
    playbook: Playbook,
    limits: Limits,
    child: Child,
    orders: ChildStdin,
    notices: Notices,
    output: ChildStderr,
    identity: ProcessIdentity,
}

impl Prepared {
    /// By what a later process can tell whether this run is still alive ([`group_alive`](super::group_alive)).
    pub fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// Runs the playbook to its end and returns its one result. Everything it prints passes `redactor`.
    ///
    /// Cancelling `abort` ends it: as soon as no sentinel exists, at the latest after [`Limits::abort_wait`]. If the
    /// playbook ends by itself while that is waited for, its own result counts (jobs.md M-3); cancelled before the
    /// start, nothing runs. Dropping the future ends the playbook within ten seconds.
    pub async fn run(mut self, redactor: &Redactor, abort: CancellationToken) -> Result<Report, RunError> {
        self.remove_sentinels().await?;
        let path = &self.playbook.log;
        let mut log = Log::open(path).await.map_err(|source| RunError::Log { path: path.clone(), source })?;
        log.append(redactor.redact(&header(&self.playbook, Utc::now())).as_bytes()).await;
        if abort.is_cancelled() {
            return Ok(Report { outcome: Outcome::Aborted, tail: String::new() });
        }

        self.order(Order::Start {
            deadline_ms: milliseconds(self.playbook.deadline),
            grace_ms: milliseconds(self.limits.grace),
        })
        .await;
        let enough = CancellationToken::new();
        let pump = tokio::spawn(pump(self.output, log, redactor.clone(), enough.clone()));

        let mut following = Following {
            playbook: &self.playbook,
            limits: self.limits,
            orders: &mut self.orders,
            notices: &mut self.notices,
        };
        let last = following.last_notice(&abort).await;
        if last.is_none() {
            let _ = self.child.start_kill();
            self.identity.end_members(self.limits.grace).await;
        }
        // The supervisor has said its last word and exits; nothing else can write output any more.
        drop(self.orders);
        let _ = self.child.wait().await;
        let pumped = async {
            let mut pump = pump;
            if let Ok(done) = tokio::time::timeout(DRAINED_WITHIN, &mut pump).await {
                return done;
            }
            enough.cancel();
            pump.await
        };
        let (mut log, tail) = match pumped.await {
            Ok((log, tail)) => (Some(log), tail),
            Err(error) => {
                tracing::error!(%error, "the reader of a playbook's output failed");
                (None, String::new())
            }
        };
        let outcome = self.playbook.outcome(last)?;
        if outcome == Outcome::TimedOut
            && let Some(log) = &mut log
        {
            log.append(b"TIMEOUT\n").await;
        }
        Ok(Report { outcome, tail })
    }

    async fn order(&mut self, order: Order) {
        send(&mut self.orders, order).await;
    }

    async fn remove_sentinels(&self) -> Result<(), RunError> {
        for path in &self.playbook.sentinels {
            match tokio::fs::remove_file(path).await {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(RunError::Sentinel { path: path.clone(), source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A started playbook, watched to its end.
struct Following<'a> {
    playbook: &'a Playbook,
    limits: Limits,
    orders: &'a mut ChildStdin,
    notices: &'a mut Notices,
}

impl Following<'_> {
    /// The supervisor's last notice; `None` if it died without one, or is so late that it must be taken for stuck.
    async fn last_notice(&mut self, abort: &CancellationToken) -> Option<Notice> {
        let latest = self.playbook.deadline.saturating_add(self.limits.grace).saturating_add(STUCK_AFTER);
        tokio::time::timeout(latest, self.follow(abort)).await.ok().flatten()
    }

    async fn follow(&mut self, abort: &CancellationToken) -> Option<Notice> {
        let abortable = async {
            abort.cancelled().await;
            self.playbook.wait_until_abortable(self.limits).await;
        };
        tokio::select! {
            biased;
            notice = self.notices.next() => return notice,
            () = abortable => {}
        }
        send(self.orders, Order::Stop).await;
        self.notices.next().await
    }
}

impl Playbook {
    fn refuses_abort(&self) -> bool {
        self.sentinels.iter().any(|path| path.exists())
    }

    async fn wait_until_abortable(&self, limits: Limits) {
        let waiting = async {
            while self.refuses_abort() {
                tokio::time::sleep(limits.abort_poll).await;
            }
        };
        if tokio::time::timeout(limits.abort_wait, waiting).await.is_err() {
            tracing::warn!(log = %self.log.display(), "a playbook refused its abort too long and is ended");
        }
    }

    /// The table of jobs.md §0.4 "Result".
    fn outcome(&self, last: Option<Notice>) -> Result<Outcome, RunError> {
        match last {
            Some(Notice::Ended { exit: 0, .. }) => Ok(Outcome::Succeeded),
            Some(Notice::Ended { cause: Cause::Deadline, .. }) => Ok(Outcome::TimedOut),
            Some(Notice::Ended { cause: Cause::Stopped, .. }) if !self.refuses_abort() => {
                Ok(Outcome::Aborted)
            }
            Some(Notice::Ended { exit, .. }) => Ok(Outcome::Failed { exit }),
            Some(Notice::NotStarted { missing: true, .. }) => {
                Ok(Outcome::ProgramMissing { program: self.program.clone() })
            }
            Some(Notice::NotStarted { missing: false, reason }) => {
                Err(RunError::Start { program: self.program.clone(), reason })
            }
            Some(Notice::Ready(_)) | None => Err(RunError::SupervisorLost),
        }
    }
}

/// Sends an order. A supervisor that is gone cannot take it, which its notices say.
async fn send(orders: &mut ChildStdin, order: Order) {
    if let Ok(line) = encode(&order) {
        let _ = orders.write_all(&line).await;
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The supervisor's notices. Lines that are none are passed over: something else may share its standard output.
#[derive(Debug)]
struct Notices {
    lines: Lines<BufReader<ChildStdout>>,
}

impl Notices {
    /// The next notice; `None` once the supervisor is gone.
    async fn next(&mut self) -> Option<Notice> {
        while let Some(line) = self.lines.next_line().await.ok().flatten() {
            if let Ok(notice) = serde_json::from_str(&line) {
                return Some(notice);
            }
        }
        None
    }
}
