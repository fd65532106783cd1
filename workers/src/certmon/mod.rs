//! The certificate monitor: does each subcloud serve a certificate of the CA that was issued for its region?
//!
//! One audit is a TLS handshake ([`handshake`]) with the subcloud's endpoint ([`target`]), the check of the served
//! chain ([`chain`]) and a decision ([`audit`]). Which region is due when is kept by [`queue`]. The decision and the
//! queue know neither clock nor network, so the rules of access.md §13 are tested without either. [`worker`] puts
//! them to work.

pub mod audit;
pub mod chain;
mod follow;
pub mod handshake;
pub mod queue;
pub mod target;
#[cfg(test)]
mod testing;
pub mod worker;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often, how many at once and how patiently regions are audited (access.md §13.3). Times are whole seconds;
/// the names are those of the contract's `[certmon]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seconds between two rounds over all regions.
    pub audit_interval: u64,
    /// Seconds before a failed renewal of a region's certificate is tried again (access.md §13.5).
    pub retry_interval: u64,
    /// How often a failed renewal is tried again (access.md §13.5).
    pub max_retry: u32,
    /// Whether the start audits every region, not only those whose `dc-cert` is not `in-sync`.
    pub startup_audit_all: bool,
    /// Seconds before an unreachable endpoint is tried again.
    pub network_retry_interval: u64,
    /// The attempt at which an unreachable endpoint is reported out-of-sync.
    pub network_max_retry: u32,
    /// How many due audits one poll takes.
    pub audit_batch_size: usize,
    /// How many audits run at once; 0 means one after another.
    pub audit_greenpool_size: usize,
    /// Seconds a handshake may take, connection included.
    pub certificate_timeout_secs: u64,
    /// Seconds before a region that served a wrong certificate is audited again (access.md §13.4 step 5).
    pub bad_certificate_retry_interval: u64,
    /// Seconds between two looks at the queue.
    pub poll_interval: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            audit_interval: 86_400,
            retry_interval: 600,
            max_retry: 14,
            startup_audit_all: false,
            network_retry_interval: 180,
            network_max_retry: 30,
            audit_batch_size: 10,
            audit_greenpool_size: 4,
            certificate_timeout_secs: 10,
            bad_certificate_retry_interval: 60,
            poll_interval: 5,
        }
    }
}

/// A setting with which no audit would ever run, or audits would run without a pause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("certmon: {0} must be at least 1")]
pub struct InvalidSettings(&'static str);

impl Settings {
    /// Refuses zero where zero has no meaning, naming the first such setting.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        let zero = [
            ("audit_interval", self.audit_interval == 0),
            ("network_retry_interval", self.network_retry_interval == 0),
            ("audit_batch_size", self.audit_batch_size == 0),
            ("certificate_timeout_secs", self.certificate_timeout_secs == 0),
            ("bad_certificate_retry_interval", self.bad_certificate_retry_interval == 0),
            ("poll_interval", self.poll_interval == 0),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(InvalidSettings(name)),
            None => Ok(()),
        }
    }

    /// How many audits may run at once: at least one.
    pub fn parallel(&self) -> usize {
        self.audit_greenpool_size.max(1)
    }

    /// The time between two rounds over all regions.
    pub fn audit_every(&self) -> Duration {
        Duration::from_secs(self.audit_interval)
    }

    /// The time between two looks at the queue.
    pub fn poll_every(&self) -> Duration {
        Duration::from_secs(self.poll_interval)
    }

    /// The time a handshake may take, connection included.
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.certificate_timeout_secs)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_defaults_are_the_contracts_and_pass_the_check() {
        let settings: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, Settings::default());
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(settings.audit_every(), Duration::from_secs(24 * 3600));
    }

    #[test]
    fn zero_is_refused_where_it_would_stop_or_flood_the_audits() {
        let settings = Settings { audit_batch_size: 0, ..Settings::default() };
        assert_eq!(settings.check().unwrap_err().to_string(), "certmon: audit_batch_size must be at least 1");
    }

    #[test]
    fn a_pool_of_zero_is_serial() {
        let settings = Settings { audit_greenpool_size: 0, ..Settings::default() };
        assert_eq!((settings.check(), settings.parallel()), (Ok(()), 1));
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(serde_json::from_str::<Settings>(r#"{"audit_intervall": 5}"#).is_err());
    }
}
