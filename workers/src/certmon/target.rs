//! Where a subcloud's certificate is fetched: an address template filled in with the subcloud's facts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rustls_pki_types::{DnsName, ServerName};

const SCHEME: &str = "https://";
const HTTPS_PORT: u16 = 443;

/// A template such as `https://{management_start_ip}:6386`. Placeholders stand in the host only:
/// `{management_start_ip}` and `{region}`. A path is allowed, as catalogs have one, and not used: a handshake has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressTemplate {
    text: String,
    host: Vec<Piece>,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    ManagementStartIp,
    Region,
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// It does not begin with `https://`.
    #[error("the address template must begin with https://")]
    Scheme,
    /// It names a user, a query or a fragment.
    #[error("the address template may hold scheme, host, port and path only")]
    NotAnAddress,
    /// No host between scheme and port.
    #[error("the address template has no host")]
    NoHost,
    /// A placeholder that is not filled in, or an unmatched brace.
    #[error(
        "{0:?} is no placeholder of the address template (known: {{management_start_ip}}, {{region}}, in the host)"
    )]
    Placeholder(String),
    /// The port is not a number from 1 to 65535.
    #[error("{0:?} is no port")]
    Port(String),
}

/// Why a template gives no address for one subcloud.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolvable {
    /// The template asks for the management start address and the subcloud has none (yet).
    #[error("the management start address {0:?} is no IP address")]
    StartAddress(String),
    /// What came out is neither an IP address nor a DNS name.
    #[error("{0:?} is no host")]
    Host(String),
}

/// Where one subcloud's certificate is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
    server_name: ServerName<'static>,
}

impl Target {
    /// The host to connect to: an IP address without brackets, or a DNS name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name to ask for in the handshake: the region if it is a DNS name, else the host.
    pub fn server_name(&self) -> &ServerName<'static> {
        &self.server_name
    }
}

/// Writes the target as a URL, an IPv6 address in brackets.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            write!(f, "{SCHEME}[{host}]:{port}")
        } else {
            write!(f, "{SCHEME}{host}:{port}")
        }
    }
}

/// The inventory endpoint on the management network (access.md §13.4 step 2).
impl Default for AddressTemplate {
    fn default() -> Self {
        Self {
            text: "https://{management_start_ip}:6386".to_owned(),
            host: vec![Piece::ManagementStartIp],
            port: 6386,
        }
    }
}

/// Writes the template as it was given.
impl fmt::Display for AddressTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for AddressTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let rest = text.strip_prefix(SCHEME).ok_or(InvalidTemplate::Scheme)?;
        if rest.contains(['@', '?', '#']) {
            return Err(InvalidTemplate::NotAnAddress);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains(['{', '}']) {
            return Err(InvalidTemplate::Placeholder(path.to_owned()));
        }
        let (host, port) = host_and_port(authority)?;
        Ok(Self { text: text.to_owned(), host: pieces(host)?, port })
    }
}

fn host_and_port(authority: &str) -> Result<(&str, u16), InvalidTemplate> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => {
            let port = rest.strip_prefix(':').ok_or_else(|| InvalidTemplate::Port(rest.to_owned()))?;
            (host, Some(port))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    match port {
        None => Ok((host, HTTPS_PORT)),
        Some(port) => match port.parse() {
            Ok(number) if number > 0 => Ok((host, number)),
            _ => Err(InvalidTemplate::Port(port.to_owned())),
        },
    }
}

fn pieces(mut host: &str) -> Result<Vec<Piece>, InvalidTemplate> {
    let mut pieces = Vec::new();
    while let Some(at) = host.find(['{', '}']) {
        let (literal, rest) = host.split_at(at);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        let end = rest.find('}').map_or(rest.len(), |end| end + 1);
        let (placeholder, tail) = rest.split_at(end);
        pieces.push(match placeholder {
            "{management_start_ip}" => Piece::ManagementStartIp,
            "{region}" => Piece::Region,
            other => return Err(InvalidTemplate::Placeholder(other.to_owned())),
        });
        host = tail;
    }
    if !host.is_empty() {
        pieces.push(Piece::Literal(host.to_owned()));
    }
    if pieces.is_empty() { Err(InvalidTemplate::NoHost) } else { Ok(pieces) }
}

impl AddressTemplate {
    /// Fills in the facts of one subcloud. Takes the start address as the subcloud has it, which is empty before its
    /// bootstrap values are known; a template that does not ask for it ignores it.
    pub fn resolve(&self, management_start_ip: &str, region: &str) -> Result<Target, Unresolvable> {
        let mut host = String::new();
        for piece in &self.host {
            match piece {
                Piece::Literal(text) => host.push_str(text),
                Piece::Region => host.push_str(region),
                Piece::ManagementStartIp => host.push_str(&start_address(management_start_ip)?.to_string()),
            }
        }
        let Ok(host_name) = ServerName::try_from(host.clone()) else {
            return Err(Unresolvable::Host(host));
        };
        let server_name = match DnsName::try_from(region.to_owned()) {
            Ok(name) => ServerName::DnsName(name),
            Err(_) => host_name,
        };
        Ok(Target { host, port: self.port, server_name })
    }
}

fn start_address(text: &str) -> Result<IpAddr, Unresolvable> {
    text.parse().map_err(|_| Unresolvable::StartAddress(text.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    const REGION: &str = "2ec93dfb654846909efe61d1b39dd2ce";

    fn resolve(template: &str, ip: &str, region: &str) -> Result<Target, Unresolvable> {
        template.parse::<AddressTemplate>().unwrap().resolve(ip, region)
    }

    fn name(target: &Target) -> String {
        target.server_name().to_str().into_owned()
    }

    #[test]
    fn the_default_is_the_inventory_port_of_the_start_address() {
        let default = AddressTemplate::default();
        assert_eq!(default.to_string().parse(), Ok(default.clone()));
        let target = default.resolve("192.168.101.2", REGION).unwrap();
        assert_eq!((target.host(), target.port()), ("192.168.101.2", 6386));
        assert_eq!(name(&target), REGION);
        assert_eq!(target.to_string(), "https://192.168.101.2:6386");
    }

    #[test]
    fn an_ipv6_address_is_connected_to_bare_and_written_in_brackets() {
        for template in ["https://{management_start_ip}:6386", "https://[{management_start_ip}]:6386"] {
            let target = resolve(template, "fd01:0:0::2", REGION).unwrap();
            assert_eq!(target.host(), "fd01::2");
            assert_eq!(target.to_string(), "https://[fd01::2]:6386");
        }
        assert_eq!(resolve("https://[::1]", "", REGION).unwrap().to_string(), "https://[::1]:443");
    }

    #[test]
    fn region_literal_and_path_make_hosts_too() {
        let target = resolve("https://{region}.example.org:6386/v1", "", REGION).unwrap();
        assert_eq!(target.to_string(), format!("https://{REGION}.example.org:6386"));
        let target = resolve("https://127.0.0.1:4443/", "", REGION).unwrap();
        assert_eq!((target.host(), target.port(), name(&target).as_str()), ("127.0.0.1", 4443, REGION));
    }

    #[test]
    fn a_region_that_is_no_dns_name_leaves_the_host_as_the_name() {
        for region in ["10.0.0.1", "..", "-r", "1234", "a b"] {
            assert_eq!(name(&resolve("https://central:6386", "", region).unwrap()), "central", "{region}");
        }
        assert_eq!(name(&resolve("https://central:6386", "", "Region_One").unwrap()), "Region_One");
    }

    #[test]
    fn templates_that_name_no_endpoint_are_refused() {
        use InvalidTemplate::*;
        let cases = [
            ("http://{region}:1", Scheme),
            ("", Scheme),
            ("https://", NoHost),
            ("https://:6386", NoHost),
            ("https://[]:6386", NoHost),
            ("https://u:p@h:1", NotAnAddress),
            ("https://h:1?x", NotAnAddress),
            ("https://{name}:1", Placeholder("{name}".into())),
            ("https://{region:1", Placeholder("{region".into())),
            ("https://r}:1", Placeholder("}".into())),
            ("https://h:1/{region}", Placeholder("{region}".into())),
            ("https://h:0", Port("0".into())),
            ("https://h:65536", Port("65536".into())),
            ("https://h:", Port(String::new())),
            ("https://h:{region}", Port("{region}".into())),
            ("https://[::1]6386", Port("6386".into())),
        ];
        for (template, expected) in cases {
            assert_eq!(template.parse::<AddressTemplate>(), Err(expected), "{template}");
        }
    }

    #[test]
    fn a_subcloud_without_address_or_with_a_hostile_region_has_no_target() {
        assert_eq!(
            resolve("https://{management_start_ip}:1", "", REGION),
            Err(Unresolvable::StartAddress(String::new()))
        );
        for region in ["..", "a:b", "a/b", "a b", ""] {
            let refused = resolve("https://{region}:1", "", region);
            assert_eq!(refused, Err(Unresolvable::Host(region.to_owned())));
        }
        assert!(resolve("https://{region}.{management_start_ip}:1", "fd01::2", "r").is_err());
    }
}
