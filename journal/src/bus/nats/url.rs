//! Where the NATS servers are and who we are to them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::bus::BusError;

/// `nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT][,HOST[:PORT]...][?creds=FILE&ca=FILE]`, or `tls://` to insist on TLS.
///
/// `creds` names a NATS credentials file, `ca` a PEM file of authorities to trust instead of the system's. The shown
/// form never has the user information.
#[derive(Clone)]
pub struct NatsUrl {
    scheme: Scheme,
    user: Option<User>,
    hosts: Vec<String>,
    creds: Option<PathBuf>,
    ca: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Nats,
    Tls,
}

#[derive(Clone)]
pub(super) enum User {
    Token(Zeroizing<String>),
    Password { name: String, password: Zeroizing<String> },
}

impl NatsUrl {
    /// The servers, one URL each, without user information.
    pub(super) fn servers(&self) -> Vec<String> {
        self.hosts.iter().map(|host| format!("{}://{host}", self.scheme)).collect()
    }

    pub(super) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    pub(super) fn creds(&self) -> Option<&PathBuf> {
        self.creds.as_ref()
    }

    pub(super) fn ca(&self) -> Option<&PathBuf> {
        self.ca.as_ref()
    }

    pub(super) fn requires_tls(&self) -> bool {
        self.scheme == Scheme::Tls
    }
}

impl FromStr for NatsUrl {
    type Err = BusError;

    /// Errors never repeat the text, which may hold a password.
    fn from_str(text: &str) -> Result<Self, BusError> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid("it has no scheme"))?;
        let scheme = match scheme {
            "nats" => Scheme::Nats,
            "tls" => Scheme::Tls,
            _ => return Err(invalid("its scheme is not nats or tls")),
        };
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(parse_user(user)?), hosts),
            None => (None, authority),
        };
        let hosts: Vec<String> = hosts.split(',').map(str::to_owned).collect();
        if hosts.iter().any(|host| host.is_empty() || host.contains(['/', '@', '#']) || !host.is_ascii()) {
            return Err(invalid("a host is missing or malformed"));
        }
        let mut url = Self { scheme, user, hosts, creds: None, ca: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("creds", file)) if !file.is_empty() => url.creds = Some(decode(file)?.into()),
                Some(("ca", file)) if !file.is_empty() => url.ca = Some(decode(file)?.into()),
                _ => return Err(invalid("its options are creds=FILE and ca=FILE")),
            }
        }
        Ok(url)
    }
}

fn parse_user(text: &str) -> Result<User, BusError> {
    Ok(match text.split_once(':') {
        Some((name, password)) => {
            User::Password { name: decode(name)?, password: Zeroizing::new(decode(password)?) }
        }
        None => User::Token(Zeroizing::new(decode(text)?)),
    })
}

fn decode(text: &str) -> Result<String, BusError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| invalid("a percent-encoded part is not UTF-8"))
}

fn invalid(what: &str) -> BusError {
    BusError::invalid(format!("not a NATS URL: {what}"))
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nats => "nats",
            Self::Tls => "tls",
        })
    }
}

impl fmt::Display for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.user.is_some() { "***@" } else { "" };
        write!(f, "{}://{user}{}", self.scheme, self.hosts.join(","))
    }
}

impl fmt::Debug for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_shown_form_has_no_credentials() {
        let url: NatsUrl = "nats://me:p%40ss@h1:4222,h2?creds=/etc/dcm.creds".parse().unwrap();
        assert_eq!(url.to_string(), "nats://***@h1:4222,h2");
        assert_eq!(format!("{url:?}"), url.to_string());
        assert_eq!(url.servers(), ["nats://h1:4222", "nats://h2"]);
        assert_eq!(url.creds().unwrap().to_str(), Some("/etc/dcm.creds"));
        match url.user().unwrap() {
            User::Password { name, password } => {
                assert_eq!((name.as_str(), password.as_str()), ("me", "p@ss"))
            }
            User::Token(_) => panic!("not a token"),
        }
    }

    #[test]
    fn what_is_not_a_nats_url_is_refused_without_repeating_it() {
        for bad in
            ["", "h:4222", "http://s3cret@h", "nats://", "nats://s3cret@", "nats://h?s3cret=1", "nats://h/x"]
        {
            let error = bad.parse::<NatsUrl>().unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
