//! Arguments of a renewal of the Kubernetes root CA (fleet.md §8.4 step 8).

use chrono::NaiveDate;
use serde::Serialize;

use super::Rejection;
use crate::value::Timestamp;

/// What a subject may be made of.
const SUBJECT_KEYS: [&str; 6] = ["C", "OU", "O", "ST", "CN", "L"];

/// Arguments of a renewal; all may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RootCa {
    /// Last day of the new certificate, `YYYY-MM-DD`.
    pub expiry_date: Option<String>,
    /// Subject of the new certificate: `C=US O=Company CN=kubernetes`.
    pub subject: Option<String>,
    /// Where the copy of the given certificate is, or will be.
    pub cert_file: Option<String>,
}

impl RootCa {
    /// Checks them at the moment `now`.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), Rejection> {
        if let Some(date) = &self.expiry_date {
            check_expiry(date, now)?;
        }
        if let Some(subject) = &self.subject {
            check_subject(subject)?;
        }
        if self.cert_file.is_some() && (self.expiry_date.is_some() || self.subject.is_some()) {
            return Err(Rejection::RootCa("cert-file cannot be given with expiry-date or subject"));
        }
        Ok(())
    }
}

/// The day after tomorrow is the first with one full day in between.
fn check_expiry(text: &str, now: Timestamp) -> Result<(), Rejection> {
    let date = date(text).ok_or(Rejection::RootCa("expiry-date is not a date of the form YYYY-MM-DD"))?;
    match date.signed_duration_since(now.utc().date_naive()).num_days() >= 2 {
        true => Ok(()),
        false => Err(Rejection::RootCa("expiry-date must be at least one full day ahead")),
    }
}

fn date(text: &str) -> Option<NaiveDate> {
    let digits = |part: &str, count| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
        return None;
    }
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

fn check_subject(subject: &str) -> Result<(), Rejection> {
    let mut has_common_name = false;
    for part in subject.split_whitespace() {
        let (key, _) =
            part.split_once('=').ok_or(Rejection::RootCa("subject must be a list of KEY=value"))?;
        if !SUBJECT_KEYS.contains(&key) {
            return Err(Rejection::RootCa("subject may hold C, OU, O, ST, CN and L only"));
        }
        has_common_name |= key == "CN";
    }
    match has_common_name {
        true => Ok(()),
        false => Err(Rejection::RootCa("subject must hold CN")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn fl_118_expiry_dates() {
        let now = at("2023-11-20T10:00:00Z");
        for (date, good) in [
            ("2023-11-22", true),
            ("2024-02-29", true),
            ("2023-11-21", false),
            ("2023-11-20", false),
            ("2020-01-01", false),
            ("tomorrow", false),
            ("2023-02-30", false),
            ("2023-12-1", false),
            ("+2023-12-01", false),
            ("20231-2-01", false),
            ("", false),
        ] {
            assert_eq!(check_expiry(date, now).is_ok(), good, "{date}");
        }
    }

    #[test]
    fn fl_118_subjects() {
        for (subject, good) in [
            ("CN=kubernetes", true),
            ("C=US O=Company ST=Ontario L=Ottawa OU=x CN=k", true),
            ("C=US O=Company", false),
            ("CN=k X=1", false),
            ("CN", false),
            ("cn=k", false),
            ("", false),
        ] {
            assert_eq!(check_subject(subject).is_ok(), good, "{subject}");
        }
    }

    #[test]
    fn fl_118_a_certificate_stands_alone() {
        let now = at("2023-11-20T10:00:00Z");
        let file = RootCa { cert_file: Some("/x/ca.pem".to_owned()), ..RootCa::default() };
        assert_eq!(file.check(now), Ok(()));
        assert!(RootCa { subject: Some("CN=k".to_owned()), ..file.clone() }.check(now).is_err());
        assert!(RootCa { expiry_date: Some("2030-01-01".to_owned()), ..file }.check(now).is_err());
    }
}
