//! Access rules of application credentials: what a restricted token may be used for.
//!
//! Keystone answers for such a token only to services that promise, by a header, to hold to its rules.

use http::Method;
use regex::Regex;
use serde::Deserialize;

/// One permission, as the token document states it.
#[derive(Deserialize)]
pub struct AccessRule {
    service: String,
    method: String,
    path: String,
}

/// The permissions of a restricted token; none of them means nothing is permitted.
#[derive(Debug)]
pub struct AccessRules(Vec<Permission>);

#[derive(Debug)]
struct Permission {
    service: String,
    method: String,
    path: Regex,
}

impl AccessRules {
    /// The rules of a token. A path that cannot be read permits nothing.
    pub fn new(rules: Vec<AccessRule>) -> Self {
        let permission = |rule: AccessRule| {
            Some(Permission { path: pattern(&rule.path)?, service: rule.service, method: rule.method })
        };
        Self(rules.into_iter().filter_map(permission).collect())
    }

    /// Whether one of the rules permits `method` on `path` of `service`.
    pub fn permit(&self, service: &str, method: &Method, path: &str) -> bool {
        self.0
            .iter()
            .any(|rule| rule.service == service && rule.method == method.as_str() && rule.path.is_match(path))
    }
}

/// In a rule's path `{name}` and `*` stand for one segment or a part of it, `**` for anything.
fn pattern(path: &str) -> Option<Regex> {
    let (mut text, mut rest) = (String::from("^"), path);
    while let Some(next) = rest.chars().next() {
        let (piece, length) = if rest.starts_with("**") {
            (".*".to_owned(), 2)
        } else if next == '*' {
            ("[^/]+".to_owned(), 1)
        } else if next == '{' {
            ("[^/]+".to_owned(), rest.find('}')? + 1)
        } else {
            (regex::escape(next.encode_utf8(&mut [0; 4])), next.len_utf8())
        };
        text.push_str(&piece);
        rest = rest.get(length..)?;
    }
    text.push('$');
    Regex::new(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(path: &str, asked: &str) -> bool {
        let rule =
            AccessRule { service: "dcmanager".to_owned(), method: "GET".to_owned(), path: path.to_owned() };
        AccessRules::new(vec![rule]).permit("dcmanager", &Method::GET, asked)
    }

    #[test]
    fn paths_match_by_their_wildcards() {
        for (path, asked, expected) in [
            ("/v1.0/subclouds", "/v1.0/subclouds", true),
            ("/v1.0/subclouds", "/v1x0/subclouds", false),
            ("/v1.0/subclouds", "/v1.0/subclouds/1", false),
            ("/v1.0/subclouds/*", "/v1.0/subclouds/1", true),
            ("/v1.0/subclouds/*", "/v1.0/subclouds/1/detail", false),
            ("/v1.0/subclouds/{id}/detail", "/v1.0/subclouds/1/detail", true),
            ("/v1.0/**", "/v1.0/subclouds/1/detail", true),
            ("/v1.0/{open", "/v1.0/{open", false),
            ("", "/v1.0/subclouds", false),
        ] {
            assert_eq!(permits(path, asked), expected, "{path} {asked}");
        }
    }

    #[test]
    fn service_and_method_have_to_match_too() {
        let rule = || AccessRule {
            service: "dcmanager".to_owned(),
            method: "GET".to_owned(),
            path: "**".to_owned(),
        };
        let rules = AccessRules::new(vec![rule()]);
        assert!(rules.permit("dcmanager", &Method::GET, "/"));
        assert!(!rules.permit("dcmanager", &Method::POST, "/"));
        assert!(!rules.permit("compute", &Method::GET, "/"));
        assert!(!AccessRules::new(Vec::new()).permit("dcmanager", &Method::GET, "/"));
    }
}
