//! The kept log of a subcloud's playbooks, and the pump that brings a playbook's redacted output into it.

use std::io;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use regex::Regex;
use tokio::fs::{DirBuilder, File, OpenOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::Playbook;
use super::redact::Redactor;

/// How much of a run's output is kept in memory for the error text.
const TAIL_BYTES: usize = 256 * 1024;

/// An argument that looks as if it gave a password, such as `-e ansible_become_pass=…`.
static PASSWORD_ARGUMENT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)(pass|secret|token)\w*['\x22]?\s*[=:]").ok());

/// The open log. A log that cannot be written (a full disk) loses lines, and says so once; it never stops a playbook.
pub(super) struct Log {
    file: File,
    broken: bool,
}

impl Log {
    /// Opens the log for appending (mode 0600 if new), with its directory (0755 if new, jobs.md §2).
    pub(super) async fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(directory).await?;
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).await?;
        Ok(Self { file, broken: false })
    }

    /// Appends `bytes`, which must be redacted already.
    pub(super) async fn append(&mut self, bytes: &[u8]) {
        if self.broken || bytes.is_empty() {
            return;
        }
        let written = async {
            self.file.write_all(bytes).await?;
            self.file.flush().await
        };
        if let Err(error) = written.await {
            self.broken = true;
            tracing::warn!(%error, "playbook log cannot be written, the rest of this run is not logged");
        }
    }
}

/// The header line of a run: time, command line without arguments that look like passwords, time-out.
pub(super) fn header(playbook: &Playbook, now: DateTime<Utc>) -> String {
    let looks_secret =
        |argument: &str| PASSWORD_ARGUMENT.as_ref().is_none_or(|pattern| pattern.is_match(argument));
    let mut words = vec![playbook.program.display().to_string()];
    words.extend(
        playbook
            .args
            .iter()
            .map(|argument| argument.to_string_lossy().replace(['\r', '\n'], " "))
            .filter(|argument| !looks_secret(argument)),
    );
    format!(
        "{} Executing playbook command (timeout: {}s): {}\n",
        now.format("%Y-%m-%d-%H:%M:%S"),
        playbook.deadline.as_secs(),
        words.join(" "),
    )
}

/// Reads `output` to its end, or until `enough` is cancelled, and appends it redacted to `log`. Returns the log and
/// the last 256 KiB of what was appended.
pub(super) async fn pump(
    mut output: impl AsyncRead + Unpin,
    mut log: Log,
    redactor: Redactor,
    enough: CancellationToken,
) -> (Log, String) {
    let mut stream = redactor.stream();
    let mut tail = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            biased;
            read = output.read(&mut buffer) => read,
            () = enough.cancelled() => Ok(0),
        };
        let shown = match read {
            Ok(0) | Err(_) => break,
            Ok(length) => stream.push(buffer.get(..length).unwrap_or_default()),
        };
        keep(&mut tail, &shown);
        log.append(&shown).await;
    }
    let rest = stream.finish();
    keep(&mut tail, &rest);
    log.append(&rest).await;
    (log, String::from_utf8_lossy(&tail).into_owned())
}

fn keep(tail: &mut Vec<u8>, more: &[u8]) {
    tail.extend_from_slice(more);
    let surplus = tail.len().saturating_sub(TAIL_BYTES);
    tail.drain(..surplus);
}

/// How long output may still come after everything that could write it is gone.
pub(super) const DRAINED_WITHIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use chrono::{TimeZone, Utc};
    use tokio_util::sync::CancellationToken;

    use super::{Log, TAIL_BYTES, header, pump};
    use crate::playbook::{Playbook, Redactor};

    #[test]
    fn the_header_drops_arguments_that_look_like_passwords() {
        let playbook = Playbook {
            program: "ansible-playbook".into(),
            args: ["p.yml", "-e", "admin_password=x", "-e", "{\"ssh_pass\": 1}", "--limit", "a"]
                .map(Into::into)
                .into(),
            log: "l".into(),
            sentinels: Vec::new(),
            private_dir: "d".into(),
            deadline: Duration::from_secs(3600),
            environment: Vec::new(),
        };
        let now = Utc.with_ymd_and_hms(2026, 11, 22, 13, 5, 9).unwrap();
        assert_eq!(
            header(&playbook, now),
            "2026-11-22-13:05:09 Executing playbook command (timeout: 3600s): \
             ansible-playbook p.yml -e -e --limit a\n"
        );
    }

    #[tokio::test]
    async fn output_is_appended_redacted_and_its_end_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/a_playbook_output.log");
        let long = "x".repeat(TAIL_BYTES);
        let output = format!("first Li69nux*\n{long}\nlast Li69nux*");
        let log = Log::open(&path).await.unwrap();
        let (_, tail) =
            pump(output.as_bytes(), log, Redactor::new(["Li69nux*"]), CancellationToken::new()).await;
        let logged = std::fs::read_to_string(&path).unwrap();
        assert_eq!(logged, format!("first ***\n{long}\nlast ***"));
        assert_eq!(tail.len(), TAIL_BYTES);
        assert!(tail.ends_with("x\nlast ***"));
    }
}
