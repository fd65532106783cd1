//! What one audit concludes (access.md §13.4): report, try again, or drop it. Pure; the caller asks and acts.
//!
//! There is no renewal client yet, so a wrong certificate is reported at once and looked at again a minute later
//! (decisions.md, "cert-mon without a renewal client").

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Settings;
use super::handshake::Outcome;

/// Deploy statuses in which a region is not audited (access.md §13.4 step 1). `rehome-prep-failed` is not among them.
pub const SKIPPED_DEPLOY_STATUSES: [&str; 6] =
    ["secondary", "secondary-failed", "rehome-pending", "pre-rehome", "rehoming", "rehome-failed"];

/// The `dc-cert` status an audit reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The region serves what it should.
    InSync,
    /// It does not, or has not been seen for too long.
    OutOfSync,
}

impl Report {
    /// The contract's word: `in-sync` or `out-of-sync`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in-sync",
            Self::OutOfSync => "out-of-sync",
        }
    }
}

/// How an audit ended. Written out, it is the log line's `outcome`; [`Conclusion::label`] is the metric's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// The deploy status, given here, is one of [`SKIPPED_DEPLOY_STATUSES`].
    Skipped(String),
    /// There is no subcloud of the region (any more); the reason is given here.
    NotFound(String),
    /// The chain leads to the expected CA.
    InSync,
    /// It does not, or the endpoint was out of reach too often; the reason is given here.
    OutOfSync(String),
    /// The endpoint is out of reach and will be tried again; the reason is given here.
    Unreachable(String),
    /// The endpoint is out of reach, and so is its subcloud; the reason is given here.
    Offline(String),
    /// Nothing to compare with: the file and what is wrong with it.
    CaMissing(PathBuf, String),
}

impl Conclusion {
    /// One of seven words, for the label `outcome` of the metric `dcm_certmon_audits_total`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Skipped(_) => "skipped",
            Self::NotFound(_) => "not-found",
            Self::InSync => "in-sync",
            Self::OutOfSync(_) => "out-of-sync",
            Self::Unreachable(_) => "unreachable",
            Self::Offline(_) => "offline",
            Self::CaMissing(..) => "ca-missing",
        }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())?;
        match self {
            Self::InSync => Ok(()),
            Self::CaMissing(path, reason) => write!(f, ": {}: {reason}", path.display()),
            Self::Skipped(detail)
            | Self::NotFound(detail)
            | Self::OutOfSync(detail)
            | Self::Unreachable(detail)
            | Self::Offline(detail) => write!(f, ": {detail}"),
        }
    }
}

/// What to do after an audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The status to report by command; `None` reports nothing.
    pub report: Option<Report>,
    /// How long until the next attempt; `None` drops the audit until something queues the region again.
    pub requeue_in: Option<Duration>,
    /// How it ended.
    pub conclusion: Conclusion,
}

impl Step {
    /// Writes the audit's one log line and counts it.
    pub fn record(&self, region: &str) {
        tracing::info!(region, outcome = %self.conclusion, "certificate audit");
        metrics::counter!("dcm_certmon_audits_total", "outcome" => self.conclusion.label()).increment(1);
    }

    fn dropped(conclusion: Conclusion) -> Self {
        Self { report: None, requeue_in: None, conclusion }
    }
}

/// The end of an audit for which the manager named no subcloud: dropped without another attempt (§13.4 step 1).
/// Takes why, in words for the log.
pub fn not_found(reason: impl Into<String>) -> Step {
    Step::dropped(Conclusion::NotFound(reason.into()))
}

/// The end of an audit that must not look at the endpoint, by the deploy status read when the audit runs; `None` if
/// the audit goes on to the handshake.
pub fn skip(deploy_status: &str) -> Option<Step> {
    SKIPPED_DEPLOY_STATUSES
        .contains(&deploy_status)
        .then(|| Step::dropped(Conclusion::Skipped(deploy_status.to_owned())))
}

/// The end of an audit that looked at the endpoint. Takes what it saw, whether the subcloud is online (only asked for
/// when the endpoint is out of reach), and the [attempt](super::queue::Entry::attempt).
pub fn conclude(outcome: Outcome, online: bool, attempt: u32, settings: &Settings) -> Step {
    match outcome {
        Outcome::Verified => {
            Step { report: Some(Report::InSync), requeue_in: None, conclusion: Conclusion::InSync }
        }
        Outcome::NotVerified { reason } => Step {
            report: Some(Report::OutOfSync),
            requeue_in: Some(Duration::from_secs(settings.bad_certificate_retry_interval)),
            conclusion: Conclusion::OutOfSync(reason),
        },
        Outcome::CaMissing { path, reason } => Step::dropped(Conclusion::CaMissing(path, reason)),
        Outcome::Unreachable { reason } if !online => Step::dropped(Conclusion::Offline(reason)),
        Outcome::Unreachable { reason } if attempt < settings.network_max_retry => Step {
            report: None,
            requeue_in: Some(Duration::from_secs(settings.network_retry_interval)),
            conclusion: Conclusion::Unreachable(reason),
        },
        Outcome::Unreachable { reason } => Step {
            report: Some(Report::OutOfSync),
            requeue_in: None,
            conclusion: Conclusion::OutOfSync(format!("unreachable at attempt {attempt}: {reason}")),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    fn unreachable() -> Outcome {
        Outcome::Unreachable { reason: "refused".into() }
    }

    fn concluded(
        outcome: Outcome,
        online: bool,
        attempt: u32,
    ) -> (Option<&'static str>, Option<u64>, String) {
        let step = conclude(outcome, online, attempt, &Settings::default());
        let report = step.report.map(Report::as_str);
        (report, step.requeue_in.map(|wait| wait.as_secs()), step.conclusion.to_string())
    }

    #[test]
    fn ac_099_statuses_without_a_subcloud_of_ours_are_skipped() {
        for status in SKIPPED_DEPLOY_STATUSES {
            let step = skip(status).unwrap();
            assert_eq!((step.report, step.requeue_in), (None, None), "{status}");
            assert_eq!(step.conclusion.to_string(), format!("skipped: {status}"));
            assert_eq!(step.conclusion.label(), "skipped");
        }
        for status in ["complete", "rehome-prep-failed", "pre-rehome-x", "not-deployed", "install-failed", ""]
        {
            assert_eq!(skip(status), None, "{status}");
        }
    }

    #[test]
    fn ac_099_an_unknown_subcloud_is_dropped() {
        let step = not_found("no such region");
        assert_eq!((step.report, step.requeue_in), (None, None));
        assert_eq!(step.conclusion.to_string(), "not-found: no such region");
    }

    #[test]
    fn ac_100_a_verified_chain_is_in_sync() {
        for (online, attempt) in [(true, 1), (false, 1), (true, 99)] {
            assert_eq!(
                concluded(Outcome::Verified, online, attempt),
                (Some("in-sync"), None, "in-sync".into())
            );
        }
    }

    #[test]
    fn ac_102_a_wrong_chain_that_is_not_renewed_is_out_of_sync_and_looked_at_again() {
        for (online, attempt) in [(true, 1), (false, 1), (true, 1000)] {
            let wrong = Outcome::NotVerified { reason: "expired".into() };
            assert_eq!(
                concluded(wrong, online, attempt),
                (Some("out-of-sync"), Some(60), "out-of-sync: expired".into())
            );
        }
    }

    #[test]
    fn ac_103_an_unreachable_endpoint_is_tried_29_times_before_it_is_out_of_sync() {
        for attempt in [1, 2, 29] {
            assert_eq!(
                concluded(unreachable(), true, attempt),
                (None, Some(180), "unreachable: refused".into())
            );
        }
        for attempt in [30, 31] {
            let text = format!("out-of-sync: unreachable at attempt {attempt}: refused");
            assert_eq!(concluded(unreachable(), true, attempt), (Some("out-of-sync"), None, text));
        }
    }

    #[test]
    fn ac_104_an_unreachable_endpoint_of_an_offline_subcloud_is_dropped() {
        for attempt in [1, 30] {
            assert_eq!(concluded(unreachable(), false, attempt), (None, None, "offline: refused".into()));
        }
    }

    #[test]
    fn ac_105_without_an_expected_ca_the_audit_is_dropped() {
        let missing = Outcome::CaMissing { path: "/ca/r1.pem".into(), reason: "not there".into() };
        assert_eq!(concluded(missing, true, 1), (None, None, "ca-missing: /ca/r1.pem: not there".into()));
    }
}
