//! What a configuration must fulfil beyond its shape.

use std::net::IpAddr;

use dcm_domain::value::Subnet;

use super::{Auth, Config, Role};

/// One thing that is wrong with a configuration, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Finding {
    /// The key at fault.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl Config {
    /// Everything that is wrong; empty if the program can start with it.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut found = |key, problem: String| findings.push(Finding { key, problem });
        let is = |url: &str, known: &[&str]| known.iter().any(|known| url.starts_with(known));
        let is_sql = |url: &str| is(url, &["embedded:", "postgres://", "postgresql://"]);
        let is_event_store = is(&self.journal, &["esdb://", "esdb+discover://"]);
        if !is_sql(&self.journal) && !is_event_store {
            found("journal", "expected `embedded:`, `postgres://…` or `esdb://…`".to_owned());
        }
        if !is_sql(&self.read_model) {
            found("read_model", "expected `embedded:` or `postgres://…`".to_owned());
        }
        if is_event_store && self.vault.is_none() {
            found("vault", "secrets cannot be kept in an event store: say where, `postgres://…`".to_owned());
        } else if !is_sql(self.vault_url()) {
            found("vault", "expected `embedded:` or `postgres://…`".to_owned());
        }
        if !["local:", "nats://", "tls://"].iter().any(|known| self.bus.starts_with(known)) {
            found("bus", "expected `local:` or `nats://…`".to_owned());
        }
        if let Err((key, problem)) = self.jetstream.check() {
            found(key, problem);
        }
        if self.roles.is_empty() {
            found("roles", "at least one role is needed".to_owned());
        }
        if self.is_embedded() && Role::ALL.iter().any(|role| !self.has(*role)) {
            found(
                "roles",
                "embedded stores and the local bus serve one process: it must run every role".to_owned(),
            );
        }
        if !self.vault_url().starts_with("embedded:") && self.vault_key_file.is_none() {
            found(
                "vault_key_file",
                "a vault on a server needs a key file that every process is given".to_owned(),
            );
        }
        let believes = match self.auth {
            Auth::None => Some("without authentication"),
            Auth::Headers => Some("with an identity out of headers"),
            Auth::Keystone => None,
        };
        if let Some(how) = believes.filter(|_| !self.listen.ip().is_loopback() && !self.allow_open_listen) {
            found("listen", format!("{how} only loopback is served; see --allow-open-listen"));
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            found("tls_cert", "certificate and key (tls_key) belong together".to_owned());
        }
        if self.http.connections == 0 || self.http.header_secs == 0 || self.http.unread_secs == 0 {
            found("http", "numbers must be greater than 0".to_owned());
        }
        for (key, problem) in self.telemetry.problems() {
            found(key, problem);
        }
        if self.auth == Auth::Keystone
            && self.has(Role::Api)
            && let Err(Finding { key, problem }) = self.keystone.settings()
        {
            found(key, problem);
        }
        self.check_controller(&mut found);
        if self.has(Role::Api)
            && let Err(wrong) = self.open_policy()
        {
            found("policy", format!("{wrong}; put it right, or move it away for the built-in rules"));
        }
        if let Err(wrong) = self.cert_mon.schedule.check() {
            found("cert_mon.schedule", wrong.to_string());
        }
        if self.deploy.parallel_runs == 0
            || self.deploy.lease_secs == 0
            || self.deploy.phase_deadline_secs == 0
        {
            found("deploy", "numbers must be greater than 0".to_owned());
        }
        findings
    }

    fn check_controller(&self, found: &mut impl FnMut(&'static str, String)) {
        let controller = &self.controller;
        if let Err(wrong) = Subnet::parse(&controller.management_subnet) {
            found("controller.management_subnet", wrong.to_string());
        }
        for (key, address) in [
            ("controller.management_start_ip", &controller.management_start_ip),
            ("controller.management_end_ip", &controller.management_end_ip),
        ] {
            if address.parse::<IpAddr>().is_err() {
                found(key, format!("{address:?} is not an IP address"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_started_with() {
        assert_eq!(Config::default().check(), []);
    }

    #[test]
    fn each_rule_names_its_key() {
        let keys = |config: Config| config.check().iter().map(|finding| finding.key).collect::<Vec<_>>();
        let open = Config { listen: ([0, 0, 0, 0], 8119).into(), ..Config::default() };
        assert_eq!(keys(open), ["listen"]);
        let trusting =
            Config { auth: Auth::Headers, listen: ([0, 0, 0, 0], 8119).into(), ..Config::default() };
        assert_eq!(keys(trusting.clone()), ["listen"]);
        assert_eq!(keys(Config { allow_open_listen: true, ..trusting.clone() }), [""; 0]);
        assert_eq!(keys(Config { auth: Auth::Keystone, ..trusting }), ["keystone.auth_url"]);
        let half = Config { tls_cert: Some("cert.pem".into()), ..Config::default() };
        assert_eq!(keys(half), ["tls_cert"]);
        let partial = Config { roles: vec![Role::Api], ..Config::default() };
        assert_eq!(keys(partial), ["roles"]);
        let server = Config { journal: "postgres://x".to_owned(), ..Config::default() };
        assert_eq!(keys(server), ["vault_key_file"]);
        let key = Some("vault.key".into());
        let store = Config { journal: "esdb://x".to_owned(), vault_key_file: key, ..Config::default() };
        assert_eq!(keys(store.clone()), ["vault"]);
        let discovered = "esdb+discover://x".to_owned();
        let vault = Some("postgres://x".to_owned());
        assert_eq!(keys(Config { journal: discovered, vault, ..store }), [""; 0]);
        let misplaced = Config { read_model: "esdb://x".to_owned(), ..Config::default() };
        assert_eq!(keys(misplaced), ["read_model"]);
        assert_eq!(keys(Config { bus: "amqp://x".to_owned(), ..Config::default() }), ["bus"]);
    }
}
