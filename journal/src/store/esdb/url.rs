//! Where the nodes are, who we are to them, and how we speak to them.

use std::path::PathBuf;

use dcm_domain::value::Secret;
use percent_encoding::percent_decode_str;

use crate::store::OpenError;

/// Port of a node that does not say another.
const PORT: u16 = 2113;

/// A node as it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
}

impl Node {
    /// As it stands in a URL.
    pub(super) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// `esdb://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...][?tls=true|false&tlsCaFile=FILE&nodePreference=leader]`, or
/// `esdb+discover://…` with names behind which all nodes of a cluster are. Several hosts are a cluster too.
#[derive(Debug)]
pub(super) struct Url {
    pub user: Option<(String, Secret)>,
    pub nodes: Vec<Node>,
    /// Whether the nodes are asked who leads before one of them is used.
    pub discover: bool,
    pub tls: bool,
    pub ca_file: Option<PathBuf>,
}

impl Url {
    /// Reads a URL. Errors never repeat what may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, OpenError> {
        let (scheme, rest) = text.split_once("://").ok_or(OpenError::Url)?;
        let discover = match scheme {
            "esdb" => false,
            "esdb+discover" => true,
            _ => return Err(OpenError::Url),
        };
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(parse_user(user)?), hosts),
            None => (None, authority),
        };
        let nodes = hosts.split(',').map(parse_node).collect::<Result<Vec<_>, _>>()?;
        let discover = discover || nodes.len() > 1;
        let mut url = Self { user, nodes, discover, tls: true, ca_file: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            url.set(name, &decode(value)?)?;
        }
        Ok(url)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), OpenError> {
        let wrong =
            |name: &'static str, problem: &'static str| Err(OpenError::Option { option: name, problem });
        match name.to_ascii_lowercase().as_str() {
            "tls" => match value {
                "true" => self.tls = true,
                "false" => self.tls = false,
                _ => return wrong("tls", "it is true or false"),
            },
            "tlscafile" if value.is_empty() => return wrong("tlsCaFile", "it names a file"),
            "tlscafile" => self.ca_file = Some(value.into()),
            // What was appended must be read at once, by every process.
            "nodepreference" if value != "leader" => {
                return wrong("nodePreference", "a journal is read from the leader alone: `leader`");
            }
            "nodepreference" => {}
            _ => {
                return wrong(
                    "another option",
                    "those that are used are tls, tlsCaFile and nodePreference=leader",
                );
            }
        }
        Ok(())
    }

    /// For people: without user and options.
    pub(super) fn shown(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(Node::authority).collect();
        format!("esdb://{}", hosts.join(","))
    }
}

fn parse_user(text: &str) -> Result<(String, Secret), OpenError> {
    let (name, password) = text.split_once(':').ok_or(OpenError::Url)?;
    Ok((decode(name)?, Secret::new(decode(password)?)))
}

fn parse_node(text: &str) -> Result<Node, OpenError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(OpenError::Url)?;
            (host, port.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    if host.is_empty() || !host.bytes().all(letters) {
        return Err(OpenError::Url);
    }
    let port = port.map_or(Ok(PORT), str::parse).map_err(|_| OpenError::Url)?;
    Ok(Node { host: host.to_owned(), port })
}

fn decode(text: &str) -> Result<String, OpenError> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| OpenError::Url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn reads_nodes_user_and_options() {
        let url = Url::parse("esdb://me:p%40ss@a.example,[::1]:9/?TLS=false&tlsCaFile=%2Fca.pem").unwrap();
        assert_eq!(url.nodes.iter().map(Node::authority).collect::<Vec<_>>(), ["a.example:2113", "[::1]:9"]);
        assert!(url.discover && !url.tls);
        assert_eq!(url.ca_file.as_deref(), Some("/ca.pem".as_ref()));
        let (name, password) = url.user.as_ref().unwrap();
        assert_eq!((name.as_str(), password.expose()), ("me", "p@ss"));
        assert_eq!(url.shown(), "esdb://a.example:2113,[::1]:9");
        assert!(!format!("{url:?}").contains("p@ss"));
        let single = Url::parse("esdb://localhost").unwrap();
        assert!(single.tls && !single.discover);
        assert!(Url::parse("esdb+discover://cluster.example").unwrap().discover);
    }

    #[test]
    fn refuses_what_it_cannot_keep_and_repeats_no_password() {
        for text in [
            "esdb:",
            "esdb://",
            "esdb://s3cret@h",
            "esdb://h:s3cret",
            "esdb://u:s3cret@h/x",
            "esdb://[::1",
            "esdb://u:s3cret@h?nodePreference=follower",
            "esdb://h?tls=s3cret",
            "esdb://h?s3cret=1",
            "http://h",
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }
}
