//! No authentication: everyone is the same administrator.

use std::sync::LazyLock;

use dcm_domain::value::Actor;

use super::{Caller, CallerNames};

/// The administrator `anonymous` of project `admin`.
pub fn anonymous() -> Caller {
    static CALLER: LazyLock<Caller> = LazyLock::new(everyone);
    CALLER.clone()
}

fn everyone() -> Caller {
    let actor = Actor {
        user_id: "anonymous".to_owned(),
        project_id: Some("admin".to_owned()),
        roles: ["admin", "member", "reader"].map(str::to_owned).to_vec(),
    };
    let names = CallerNames {
        user: Some("anonymous".to_owned()),
        user_domain: None,
        project: Some("admin".to_owned()),
        tenant: Some("admin".to_owned()),
    };
    Caller { actor: actor.into(), names: names.into() }
}
