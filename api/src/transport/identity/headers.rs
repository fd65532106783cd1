//! Identity out of the headers of a trusted proxy (access.md §3.4).

use std::borrow::Cow;

use dcm_domain::value::Actor;
use http::HeaderMap;

use super::{Caller, CallerNames, invalid, required};
use crate::transport::error::ApiError;

/// What an identity status says when it is confirmed; no other spelling counts.
const CONFIRMED: &str = "Confirmed";
/// Most bytes of an id: it enters every event the caller causes.
const LONGEST_ID: usize = 255;

/// The caller as the headers state it.
///
/// # Errors
/// 401 without a confirmed status or a user id, 403 without a header of roles (decisions.md).
pub fn identify(headers: &HeaderMap) -> Result<Caller, ApiError> {
    let text = |name: &'static str| text(headers, name);
    let first = |names: [&'static str; 2]| names.into_iter().find_map(text);
    let confirmed = ["x-identity-status", "x-service-identity-status"]
        .into_iter()
        .any(|name| text(name).is_some_and(|status| status == CONFIRMED));
    if !confirmed {
        return Err(if headers.contains_key("x-auth-token") { invalid() } else { required() });
    }
    let user_id = id(text("x-user-id")).ok_or_else(required)?;
    // A proxy that adds its own header to the client's must not make the client's count.
    let alone = |name: &'static str| headers.get_all(name).iter().nth(1).is_none();
    if !["x-role", "x-roles", "x-project-name"].into_iter().all(alone) {
        return Err(ApiError::forbidden());
    }
    let roles = first(["x-role", "x-roles"]).ok_or_else(ApiError::forbidden)?;
    let actor =
        Actor { user_id, project_id: id(first(["x-tenant-id", "x-project-id"])), roles: split(&roles) };
    let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    let names = CallerNames {
        user: owned(first(["x-user", "x-user-name"])),
        user_domain: owned(text("x-user-domain-name")),
        project: owned(text("x-project-name")),
        tenant: owned(first(["x-tenant", "x-tenant-name"])),
    };
    Ok(Caller { actor: actor.into(), names: names.into() })
}

/// The text of a header. Several of one name count as one list, so that one added to a status confirms nothing.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<Cow<'h, str>> {
    let mut values = headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes()).ok());
    let first = values.next()??;
    let rest = values.collect::<Option<Vec<_>>>()?;
    if rest.is_empty() {
        return Some(Cow::Borrowed(first));
    }
    Some(Cow::Owned([&[first], rest.as_slice()].concat().join(",")))
}

fn id(text: Option<Cow<'_, str>>) -> Option<String> {
    text.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID).map(Cow::into_owned)
}

fn split(roles: &str) -> Vec<String> {
    roles.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    fn status(pairs: &[(&str, &str)]) -> u16 {
        identify(&headers(pairs)).map_or_else(|error| error.status().as_u16(), |_| 200)
    }

    #[test]
    fn the_headers_of_access_3_4_make_a_caller() {
        let caller = identify(&headers(&[
            ("X-Identity-Status", "Confirmed"),
            ("X-Role", "admin,member, reader"),
            ("X-Project-Name", "admin"),
            ("X-User-Id", "3d76d3c1"),
            ("X-User-Name", "anna"),
            ("X-User-Domain-Name", "Default"),
            ("X-Tenant-Id", "ca53e70c"),
        ]))
        .unwrap();
        let actor = Actor {
            user_id: "3d76d3c1".to_owned(),
            project_id: Some("ca53e70c".to_owned()),
            roles: vec!["admin".to_owned(), "member".to_owned(), "reader".to_owned()],
        };
        let names = CallerNames {
            user: Some("anna".to_owned()),
            user_domain: Some("Default".to_owned()),
            project: Some("admin".to_owned()),
            tenant: None,
        };
        assert_eq!(caller, Caller { actor: actor.into(), names: names.into() });
    }

    #[test]
    fn ac_30_32_only_the_exact_word_confirms() {
        let rest = [("X-User-Id", "u"), ("X-Role", "admin")];
        let with = |name, value| status(&[&[(name, value)], rest.as_slice()].concat());
        assert_eq!(status(&rest), 401);
        assert_eq!(with("X-Identity-Status", "Confirmed"), 200);
        assert_eq!(with("X-Service-Identity-Status", "Confirmed"), 200);
        for wrong in ["confirmed", "CONFIRMED", "Confirmed,Invalid", "Invalid", ""] {
            assert_eq!(with("X-Identity-Status", wrong), 401, "{wrong}");
        }
        let twice = [("X-Identity-Status", "Confirmed"), ("X-Identity-Status", "Confirmed")];
        assert_eq!(status(&[&twice, rest.as_slice()].concat()), 401);
    }

    #[test]
    fn rights_that_come_twice_are_none() {
        let confirmed = [("X-Identity-Status", "Confirmed"), ("X-User-Id", "u"), ("X-Role", "reader")];
        assert_eq!(status(&confirmed), 200);
        for twice in [("X-Role", "admin"), ("X-Project-Name", "admin")] {
            let with = [confirmed.as_slice(), &[("X-Project-Name", "demo"), twice]].concat();
            assert_eq!(status(&with), 403, "{twice:?}");
        }
    }

    #[test]
    fn the_audit_log_has_the_old_names_of_user_and_project() {
        let confirmed = [("X-Identity-Status", "Confirmed"), ("X-User-Id", "u"), ("X-Role", "reader")];
        let old =
            [("X-User", "anna"), ("X-User-Name", "other"), ("X-Tenant", "t"), ("X-Project-Name", "demo")];
        let names = identify(&headers(&[confirmed.as_slice(), &old].concat())).unwrap().names;
        assert_eq!((names.user.as_deref(), names.tenant.as_deref()), (Some("anna"), Some("t")));
        assert_eq!(names.project.as_deref(), Some("demo"));
    }

    #[test]
    fn without_a_user_401_without_roles_403() {
        let confirmed = ("X-Identity-Status", "Confirmed");
        assert_eq!(status(&[confirmed, ("X-Role", "admin")]), 401);
        assert_eq!(status(&[confirmed, ("X-Role", "admin"), ("X-User-Id", "")]), 401);
        assert_eq!(status(&[confirmed, ("X-Role", "admin"), ("X-User-Id", &"u".repeat(256))]), 401);
        assert_eq!(status(&[confirmed, ("X-User-Id", "u")]), 403);
        assert_eq!(status(&[confirmed, ("X-User-Id", "u"), ("X-Roles", "reader")]), 200);
        let said = |pairs: &[(&str, &str)]| identify(&headers(pairs)).unwrap_err().to_string();
        assert!(said(&[]).ends_with("Authentication required"));
        let refused = said(&[("X-Auth-Token", "hidden")]);
        assert!(refused.ends_with("Auth token is invalid") && !refused.contains("hidden"));
    }
}
