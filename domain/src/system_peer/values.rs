//! The values of a system peer and the rules they obey (fleet.md §5).

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::Rejection;
use crate::value::{SecretRef, SystemUuid};

/// The longest text, in characters.
const LONGEST: usize = 254;
/// The longest UUID, in characters (fleet.md §14).
const LONGEST_UUID: usize = 36;
const STATES: [&str; 2] = [DEFAULT_STATE, "disabled"];
const POLICIES: [&str; 3] = [DEFAULT_FAILURE_POLICY, "rehome", "delegate"];
const INTERVALS: RangeInclusive<i64> = 10..=600;
const THRESHOLDS: RangeInclusive<i64> = 1..=30;
const MAINTENANCE_TIMEOUTS: RangeInclusive<i64> = 300..=36_000;

/// The administrative state of a peer whose request does not say (fleet.md, Q9, as the next four).
pub const DEFAULT_STATE: &str = "enabled";
/// Seconds between two heartbeats if the request does not say.
pub const DEFAULT_HEARTBEAT_INTERVAL: i64 = 60;
/// Heartbeats in a row that may fail if the request does not say.
pub const DEFAULT_FAILURE_THRESHOLD: i64 = 3;
/// What is done when they fail if the request does not say.
pub const DEFAULT_FAILURE_POLICY: &str = "alarm";
/// Seconds that maintenance may take if the request does not say.
pub const DEFAULT_MAINTENANCE_TIMEOUT: i64 = 600;

/// Everything about a new system peer but its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeerValues {
    /// UUID of the other system; kept as it was sent.
    pub peer_uuid: String,
    /// Unique name.
    pub peer_name: String,
    /// Where its Keystone answers.
    pub manager_endpoint: String,
    /// Who logs in there.
    pub manager_username: String,
    /// Gateway towards its subclouds' controller.
    pub peer_controller_gateway_address: String,
    /// `enabled` or `disabled`.
    pub administrative_state: String,
    /// Seconds between two heartbeats.
    pub heartbeat_interval: i64,
    /// Heartbeats in a row that may fail.
    pub heartbeat_failure_threshold: i64,
    /// `alarm`, `rehome` or `delegate`.
    pub heartbeat_failure_policy: String,
    /// Seconds that maintenance may take.
    pub heartbeat_maintenance_timeout: i64,
}

/// What may change about a system peer; an absent value stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeerChanges {
    /// New UUID.
    pub peer_uuid: Option<String>,
    /// New name.
    pub peer_name: Option<String>,
    /// Where its Keystone answers.
    pub manager_endpoint: Option<String>,
    /// Who logs in there.
    pub manager_username: Option<String>,
    /// The vault entry of the new password.
    pub manager_password: Option<SecretRef>,
    /// The vault entry that holds the password as it was sent, if one did when that was looked up: it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_password: Option<SecretRef>,
    /// New gateway.
    pub peer_controller_gateway_address: Option<String>,
    /// `enabled` or `disabled`.
    pub administrative_state: Option<String>,
    /// Seconds between two heartbeats.
    pub heartbeat_interval: Option<i64>,
    /// Heartbeats in a row that may fail.
    pub heartbeat_failure_threshold: Option<i64>,
    /// `alarm`, `rehome` or `delegate`.
    pub heartbeat_failure_policy: Option<String>,
    /// Seconds that maintenance may take.
    pub heartbeat_maintenance_timeout: Option<i64>,
}

impl PeerValues {
    /// Checks every value in the contract's order; the password was checked before it was kept.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Rejection> {
        self.check_login()?;
        self.check_rest()
    }

    /// Checks every value in the contract's order, with the password that is still to be kept.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_with(&self, password: &str) -> Result<(), Rejection> {
        self.check_login()?;
        check_password(password)?;
        self.check_rest()
    }

    /// What stands before the password.
    fn check_login(&self) -> Result<(), Rejection> {
        check_uuid(&self.peer_uuid)?;
        check_name(&self.peer_name)?;
        check_endpoint(&self.manager_endpoint)?;
        check_text(&self.manager_username, Rejection::InvalidUsername)
    }

    /// What stands behind it.
    fn check_rest(&self) -> Result<(), Rejection> {
        check_gateway(&self.peer_controller_gateway_address)?;
        check_word(&self.administrative_state, &STATES, Rejection::InvalidState)?;
        check_range(self.heartbeat_interval, INTERVALS, Rejection::InvalidInterval)?;
        check_range(self.heartbeat_failure_threshold, THRESHOLDS, Rejection::InvalidThreshold)?;
        check_word(&self.heartbeat_failure_policy, &POLICIES, Rejection::InvalidPolicy)?;
        check_range(self.heartbeat_maintenance_timeout, MAINTENANCE_TIMEOUTS, Rejection::InvalidMaintenance)
    }
}

impl PeerChanges {
    /// Checks what is given, as [`PeerValues::check`].
    ///
    /// # Errors
    /// [`Rejection::NothingToUpdate`] if nothing is, or the first rule that is broken.
    pub fn check(&self) -> Result<(), Rejection> {
        match *self == Self::default() {
            true => Err(Rejection::NothingToUpdate),
            false => self.check_with(None),
        }
    }

    /// Checks what is given, with the password that is still to be kept, if there is one.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_with(&self, password: Option<&str>) -> Result<(), Rejection> {
        use Rejection as R;
        let word = |given: &Option<String>, known: &[&str], or: R| {
            given.as_deref().map(|word| check_word(word, known, or)).transpose()
        };
        let range = |given: Option<i64>, range: RangeInclusive<i64>, or: R| {
            given.map(|number| check_range(number, range, or)).transpose()
        };
        self.peer_uuid.as_deref().map(check_uuid).transpose()?;
        self.peer_name.as_deref().map(check_name).transpose()?;
        self.manager_endpoint.as_deref().map(check_endpoint).transpose()?;
        self.manager_username.as_deref().map(|name| check_text(name, R::InvalidUsername)).transpose()?;
        password.map(check_password).transpose()?;
        self.peer_controller_gateway_address.as_deref().map(check_gateway).transpose()?;
        word(&self.administrative_state, &STATES, R::InvalidState)?;
        range(self.heartbeat_interval, INTERVALS, R::InvalidInterval)?;
        range(self.heartbeat_failure_threshold, THRESHOLDS, R::InvalidThreshold)?;
        word(&self.heartbeat_failure_policy, &POLICIES, R::InvalidPolicy)?;
        range(self.heartbeat_maintenance_timeout, MAINTENANCE_TIMEOUTS, R::InvalidMaintenance)?;
        Ok(())
    }
}

/// fleet.md §5, `manager_password`; that it is base64 is not looked at.
///
/// # Errors
/// [`Rejection::InvalidPassword`].
pub fn check_password(password: &str) -> Result<(), Rejection> {
    let fits = (1..=LONGEST).contains(&password.chars().count());
    if fits { Ok(()) } else { Err(Rejection::InvalidPassword) }
}

fn check_uuid(text: &str) -> Result<(), Rejection> {
    let fits = text.len() <= LONGEST_UUID && SystemUuid::parse(text).is_some();
    if fits { Ok(()) } else { Err(Rejection::InvalidUuid) }
}

fn check_name(name: &str) -> Result<(), Rejection> {
    // Only digits would be taken for an id.
    if name.chars().all(char::is_numeric) {
        return Err(Rejection::InvalidName);
    }
    check_text(name, Rejection::InvalidName)
}

fn check_endpoint(endpoint: &str) -> Result<(), Rejection> {
    check_text(endpoint, Rejection::InvalidEndpoint)?;
    if endpoint.starts_with("http") { Ok(()) } else { Err(Rejection::InvalidEndpoint) }
}

fn check_gateway(address: &str) -> Result<(), Rejection> {
    address.parse::<IpAddr>().map(drop).map_err(|_| Rejection::InvalidGateway)
}

fn check_text(text: &str, or: Rejection) -> Result<(), Rejection> {
    let fits = (1..=LONGEST).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(or) }
}

fn check_word(word: &str, known: &[&str], or: Rejection) -> Result<(), Rejection> {
    if known.contains(&word) { Ok(()) } else { Err(or) }
}

fn check_range(number: i64, range: RangeInclusive<i64>, or: Rejection) -> Result<(), Rejection> {
    if range.contains(&number) { Ok(()) } else { Err(or) }
}
