//! Keystone's token documents: what its answers say about a token.

use chrono::{DateTime, TimeDelta, Utc};
use dcm_domain::value::Actor;
use serde::Deserialize;

use super::super::{Caller, CallerNames};
use super::access_rules::{AccessRule, AccessRules};

/// The body of a token that was issued or found valid.
#[derive(Deserialize)]
pub struct Document {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    user: Owned,
    project: Option<Named>,
    #[serde(default)]
    roles: Vec<Named>,
    expires_at: DateTime<Utc>,
    issued_at: Option<DateTime<Utc>>,
    #[serde(default)]
    catalog: Vec<Service>,
    application_credential: Option<ApplicationCredential>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Owned {
    id: String,
    name: Option<String>,
    domain: Option<Domain>,
}

#[derive(Deserialize)]
struct Domain {
    name: Option<String>,
}

#[derive(Deserialize)]
struct ApplicationCredential {
    access_rules: Option<Vec<AccessRule>>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    url: String,
    region: Option<String>,
    region_id: Option<String>,
}

/// Whom a valid token stands for, and within what bounds.
#[derive(Debug)]
pub struct Identity {
    /// The caller.
    pub caller: Caller,
    /// From when on the token is worth nothing.
    pub expires_at: DateTime<Utc>,
    /// What the token may be used for; anything if absent.
    pub access_rules: Option<AccessRules>,
}

impl Document {
    /// Whom the token stands for.
    pub fn identity(self) -> Identity {
        let Token { user, project, roles, expires_at, application_credential, .. } = self.token;
        let (project_id, project) = project.map(|project| (project.id, project.name)).unzip();
        let names = CallerNames {
            user: user.name,
            user_domain: user.domain.and_then(|domain| domain.name),
            tenant: project.clone(),
            project,
        };
        let roles = roles.into_iter().map(|role| role.name).collect();
        let rules = application_credential.and_then(|credential| credential.access_rules);
        Identity {
            caller: Caller {
                actor: Actor { user_id: user.id, project_id, roles }.into(),
                names: names.into(),
            },
            expires_at,
            access_rules: rules.map(AccessRules::new),
        }
    }

    /// How long the token lasts, counted from `now` of this machine, whatever Keystone's clock says.
    pub fn lifetime(&self, now: DateTime<Utc>) -> TimeDelta {
        self.token.expires_at - self.token.issued_at.unwrap_or(now)
    }

    /// URL of the identity service for `interface`, in `region` if one is given.
    pub fn identity_endpoint(&self, interface: &str, region: Option<&str>) -> Option<&str> {
        let in_region = |endpoint: &Endpoint| {
            region.is_none_or(|region| {
                [&endpoint.region, &endpoint.region_id].into_iter().flatten().any(|known| known == region)
            })
        };
        let endpoints =
            self.token.catalog.iter().filter(|service| service.kind == "identity").flat_map(|s| &s.endpoints);
        let mut matching =
            endpoints.filter(|endpoint| endpoint.interface == interface && in_region(endpoint));
        matching.next().map(|endpoint| endpoint.url.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value, json};

    use super::*;

    fn document(token: Value) -> Document {
        let mut whole = json!({
            "user": {"id": "u1", "name": "anna", "domain": {"id": "default", "name": "Default"}},
            "expires_at": "2026-11-22T17:33:40.000000Z", "issued_at": "2026-11-22T16:33:40.000000Z",
        });
        whole.as_object_mut().unwrap().extend(token.as_object().unwrap().clone());
        serde_json::from_value(json!({"token": whole})).unwrap()
    }

    #[test]
    fn a_scoped_token_names_project_and_roles() {
        let project = json!({"id": "p1", "name": "admin", "domain": {"id": "default"}});
        let identity = document(json!({
            "project": project, "roles": [{"id": "r", "name": "reader"}], "is_domain": false, "new_key": 1,
        }))
        .identity();
        assert_eq!(identity.caller.actor.project_id.as_deref(), Some("p1"));
        assert_eq!(identity.caller.actor.roles, ["reader"]);
        assert_eq!(identity.caller.names.project.as_deref(), Some("admin"));
        assert_eq!(identity.caller.names.user_domain.as_deref(), Some("Default"));
        assert!(identity.access_rules.is_none());
    }

    #[test]
    fn an_unscoped_token_has_neither() {
        let identity = document(json!({})).identity();
        assert_eq!((&identity.caller.actor.project_id, &identity.caller.names.project), (&None, &None));
        assert!(identity.caller.actor.roles.is_empty());
    }

    #[test]
    fn the_lifetime_is_by_keystones_clock() {
        assert_eq!(document(json!({})).lifetime(Utc::now()), TimeDelta::hours(1));
    }

    #[test]
    fn the_endpoint_is_chosen_by_interface_and_region() {
        let endpoint = |interface: &str, region: &str, url: &str| json!({"interface": interface, "region": region, "region_id": region, "url": url});
        let document = document(json!({"catalog": [
            {"type": "compute", "endpoints": [endpoint("internal", "One", "http://compute")]},
            {"type": "identity", "endpoints": [
                endpoint("public", "One", "http://public"), endpoint("internal", "One", "http://one"),
                endpoint("internal", "Two", "http://two"),
            ]},
        ]}));
        assert_eq!(document.identity_endpoint("internal", None), Some("http://one"));
        assert_eq!(document.identity_endpoint("internal", Some("Two")), Some("http://two"));
        assert_eq!(document.identity_endpoint("public", Some("Two")), None);
        assert_eq!(document.identity_endpoint("admin", None), None);
    }
}
