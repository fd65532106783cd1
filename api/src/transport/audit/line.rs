//! The line of access.md §10, as operators' scripts know it.

use std::fmt;

/// Most characters of a text that a client chose.
const LONGEST: usize = 256;

/// One line, before it is text. `None` shows as `None`.
pub struct Line<'a> {
    pub request_id: Option<&'a str>,
    pub user_id: Option<String>,
    pub project_id: Option<String>,
    pub remote: Option<String>,
    pub method: &'a str,
    pub path: &'a str,
    pub protocol: &'a str,
    pub status: u16,
    pub len: Option<u64>,
    pub seconds: f64,
    pub body: Option<&'a str>,
    pub host: Option<&'a str>,
    pub agent: Option<&'a str>,
    pub user: Option<String>,
    pub tenant: Option<String>,
    pub domain: Option<String>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, protocol, status, .. } = self;
        let or_none = |text: Option<&str>| text.unwrap_or("None").to_owned();
        let request_id = or_none(self.request_id);
        let (user_id, project_id) = (or_none(self.user_id.as_deref()), or_none(self.project_id.as_deref()));
        let remote = or_none(self.remote.as_deref());
        let len = self.len.map_or_else(|| "None".to_owned(), |len| len.to_string());
        // Zero is told from a very short time.
        let time = if self.seconds == 0.0 { "0".to_owned() } else { format!("{:.6}", self.seconds) };
        write!(f, "[{request_id} {user_id} {project_id}] {remote} \"{method} {path} {protocol}\" ")?;
        write!(f, "status: {status} len: {len} time: {time}")?;
        if let Some(body) = self.body {
            write!(f, " POST: {body}")?;
        }
        write!(f, " host:{} agent:{}", or_none(self.host), or_none(self.agent))?;
        let (user, tenant) = (or_none(self.user.as_deref()), or_none(self.tenant.as_deref()));
        write!(f, " user: {user} tenant: {tenant} domain: {}", or_none(self.domain.as_deref()))
    }
}

/// A text that a client chose, fit for one line: bounded, nothing in it that ends a line or moves a cursor.
pub fn shown(text: &str) -> String {
    let fit = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { '?' } else { c };
    text.chars().take(LONGEST).map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_reads_as_the_contracts_example() {
        let line = Line {
            request_id: Some("req-1b0c"),
            user_id: Some("3d76d3c1".to_owned()),
            project_id: Some("ca53e70c".to_owned()),
            remote: Some("192.168.204.2".to_owned()),
            method: "POST",
            path: "/v1.0/subcloud-groups/",
            protocol: "HTTP/1.0",
            status: 200,
            len: Some(213),
            seconds: 0.0141,
            body: Some("{'name': 'edge'}"),
            host: Some("192.168.204.2:8119"),
            agent: Some("python-requests/2.25.1"),
            user: Some("admin".to_owned()),
            tenant: Some("admin".to_owned()),
            domain: Some("Default".to_owned()),
        };
        assert_eq!(
            line.to_string(),
            "[req-1b0c 3d76d3c1 ca53e70c] 192.168.204.2 \"POST /v1.0/subcloud-groups/ HTTP/1.0\" status: 200 \
             len: 213 time: 0.014100 POST: {'name': 'edge'} host:192.168.204.2:8119 agent:python-requests/2.25.1 \
             user: admin tenant: admin domain: Default"
        );
    }

    #[test]
    fn what_a_client_chose_stays_on_its_line() {
        assert_eq!(shown("a\r\nb\u{1b}[2J\u{2028}c"), "a??b?[2J?c");
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), LONGEST);
    }
}
