//! The software version a request means (subclouds.md V2).

use super::fields::quoted;
use super::{Refused, Status};

/// What is known about releases on this controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Releases {
    /// The release the controller runs.
    pub active: String,
    /// The releases its metadata supports; `None` if the metadata could not be read.
    pub supported: Option<Vec<String>>,
}

/// The software version for the `release` field: the active release if absent or empty, else the given one if it is
/// active or supported (subclouds.md V2). An unsupported one is a bad request; metadata that cannot be read or names
/// no release is [`Status::Unavailable`].
pub fn release(requested: Option<&str>, releases: &Releases) -> Result<String, Refused> {
    let wanted = match requested {
        None | Some("") => return Ok(releases.active.clone()),
        Some(wanted) if wanted == releases.active => return Ok(wanted.to_owned()),
        Some(wanted) => wanted,
    };
    let supported = match &releases.supported {
        Some(supported) if !supported.is_empty() => supported,
        _ => return Err(Refused::new(Status::Unavailable, "unable to validate the release version")),
    };
    if supported.iter().any(|release| release == wanted) {
        return Ok(wanted.to_owned());
    }
    Err(Refused::bad_request(format!(
        "invalid release version parameter: {} is not a supported release version ({})",
        quoted(wanted),
        supported.join(", "),
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{Releases, release};
    use crate::validate::Status;

    fn releases(supported: Option<&[&str]>) -> Releases {
        let supported = supported.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
        Releases { active: "22.12".into(), supported }
    }

    #[test]
    fn active_needs_no_metadata() {
        for requested in [None, Some(""), Some("22.12")] {
            assert_eq!(release(requested, &releases(None)).unwrap(), "22.12");
        }
    }

    #[test]
    fn sc_109_an_unsupported_release_is_refused_with_the_list() {
        let known = releases(Some(&["18.03", "21.12"]));
        assert_eq!(release(Some("21.12"), &known).unwrap(), "21.12");
        for wrong in ["99.9", "21.1", "21.12 ", "../21.12", "21.12\n"] {
            let refused = release(Some(wrong), &known).unwrap_err();
            assert_eq!(refused.status, Status::BadRequest);
            assert!(refused.text.contains("invalid release version parameter"));
            assert!(refused.text.contains("is not a supported release version"));
            assert!(refused.text.contains("18.03, 21.12") && !refused.text.contains('\n'));
        }
    }

    #[test]
    fn sc_110_without_metadata_nobody_can_tell() {
        for unusable in [None, Some(&[] as &[&str])] {
            let refused = release(Some("21.12"), &releases(unusable)).unwrap_err();
            assert_eq!(refused.status, Status::Unavailable);
            assert_eq!(refused.text, "unable to validate the release version");
        }
    }
}
