//! Subnets, address ranges and the one spelling of an address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A text is no subnet in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a valid IP subnet")]
pub struct InvalidSubnet;

/// A subnet in CIDR notation, IPv4 or IPv6. Keeps the text as given (subclouds.md V8) and serialises as that text;
/// bits behind the prefix may be set, as in `192.168.101.1/24`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    text: String,
    net: IpNet,
}

impl Subnet {
    /// Reads `address/prefix`, nothing before, between or behind.
    pub fn parse(text: &str) -> Result<Self, InvalidSubnet> {
        let net = text.parse().map_err(|_| InvalidSubnet)?;
        Ok(Self { text: text.to_owned(), net })
    }

    /// The text it was read from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether an address is in both. Subnets of different families never overlap.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.net.contains(&other.net.network()) || other.net.contains(&self.net.network())
    }

    /// Whether `address` lies in the subnet, its first and last address included.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.net.contains(&address)
    }

    /// Whether `address` is of the subnet's family.
    pub fn same_family(&self, address: IpAddr) -> bool {
        self.net.addr().is_ipv4() == address.is_ipv4()
    }

    /// Whether it is an IPv6 subnet.
    pub fn is_ipv6(&self) -> bool {
        self.net.addr().is_ipv6()
    }

    /// The number of leading bits that name the subnet.
    pub fn prefix_len(&self) -> u8 {
        self.net.prefix_len()
    }

    /// The last address, which counts as broadcast for IPv6 too (subclouds.md §5).
    pub fn broadcast(&self) -> IpAddr {
        self.net.broadcast()
    }

    /// The number of addresses, the first and the last included. `::/0` has one more than fits and gives the maximum.
    pub fn address_count(&self) -> u128 {
        let free_bits = u32::from(self.net.max_prefix_len() - self.net.prefix_len());
        1_u128.checked_shl(free_bits).unwrap_or(u128::MAX)
    }
}

impl FromStr for Subnet {
    type Err = InvalidSubnet;

    fn from_str(text: &str) -> Result<Self, InvalidSubnet> {
        Self::parse(text)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Subnet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Subnet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Subnet".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "A subnet in CIDR notation."})
    }
}

/// The addresses from `start` to `end`, both included, of one family and in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    start: IpAddr,
    end: IpAddr,
}

impl AddressRange {
    /// The range from `start` to `end`; `None` if they are of different families or `end` is before `start`.
    pub fn new(start: IpAddr, end: IpAddr) -> Option<Self> {
        (start.is_ipv4() == end.is_ipv4() && start <= end).then_some(Self { start, end })
    }

    /// Whether `address` is one of the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        // Every IPv4 address orders before every IPv6 address, so the bounds also keep the family.
        self.start <= address && address <= self.end
    }

    /// The number of addresses, at least 1. The range of all IPv6 addresses gives the maximum.
    pub fn address_count(&self) -> u128 {
        (number(self.end) - number(self.start)).saturating_add(1)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - {}", self.start, self.end)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The canonical spelling of an IPv4 or IPv6 address (subclouds.md V8): lower case, leading zeros and the longest run
/// of zero groups removed. `None` if `text` is no address.
pub fn canonical_ip(text: &str) -> Option<String> {
    text.parse::<IpAddr>().ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{AddressRange, InvalidSubnet, Subnet, canonical_ip};
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn subnet(text: &str) -> Subnet {
        Subnet::parse(text).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn keeps_the_text_as_given() {
        let given = subnet("2620:010A:A001:A103:0000::/64");
        assert_eq!(given.to_string(), "2620:010A:A001:A103:0000::/64");
        let json = serde_json::to_string(&given).unwrap();
        assert_eq!(json, "\"2620:010A:A001:A103:0000::/64\"");
        assert_eq!(serde_json::from_str::<Subnet>(&json).unwrap(), given);
        assert!(serde_json::from_str::<Subnet>("\"10.0.0.0/33\"").is_err());
    }

    #[test]
    fn refuses_what_is_no_subnet() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0/24",
            "10.0.0.256/24",
            "10.0.0.wut/24",
            " 10.0.0.0/24",
            "10.0.0.0/24 ",
            "10.0.0.0/24\n",
            "10.0.0.0/-1",
            "10.0.0.0/255.255.255.0",
            "10.0.0.0/1e1",
            "fd00::%eth0/64",
            "fd00::/",
            "/24",
            "::/999999999999999999999",
        ] {
            assert_eq!(Subnet::parse(text), Err(InvalidSubnet), "{text:?}");
        }
    }

    #[test]
    fn overlap_is_any_shared_address() {
        let base = subnet("192.168.101.0/24");
        for (text, expected) in [
            ("192.168.101.0/24", true),
            ("192.168.101.128/25", true),
            ("192.168.0.0/16", true),
            ("192.168.101.77/24", true),
            ("0.0.0.0/0", true),
            ("192.168.102.0/24", false),
            ("::/0", false),
        ] {
            assert_eq!(base.overlaps(&subnet(text)), expected, "{text}");
            assert_eq!(subnet(text).overlaps(&base), expected, "{text}");
        }
        assert!(subnet("fd01::/64").overlaps(&subnet("fd01::8000:0:0:0/65")));
    }

    #[test]
    fn counts_addresses() {
        for (text, count) in [
            ("10.0.0.0/32", 1),
            ("10.0.0.0/29", 8),
            ("0.0.0.0/0", 1 << 32),
            ("fd00::/64", 1 << 64),
            ("fd00::/128", 1),
        ] {
            assert_eq!(subnet(text).address_count(), count, "{text}");
        }
        assert_eq!(subnet("::/0").address_count(), u128::MAX);
        assert_eq!(subnet("fd00::/64").broadcast(), ip("fd00::ffff:ffff:ffff:ffff"));
    }

    #[test]
    fn ranges_stay_in_one_family_and_order() {
        let range = AddressRange::new(ip("192.168.204.2"), ip("192.168.204.100")).unwrap();
        assert_eq!(range.address_count(), 99);
        assert!(range.contains(ip("192.168.204.2")) && range.contains(ip("192.168.204.100")));
        assert!(!range.contains(ip("192.168.204.101")) && !range.contains(ip("::1")));
        assert_eq!(AddressRange::new(ip("10.0.0.2"), ip("10.0.0.1")), None);
        assert_eq!(AddressRange::new(ip("10.0.0.2"), ip("::1")), None);
        let all = AddressRange::new(ip("::"), ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")).unwrap();
        assert_eq!(all.address_count(), u128::MAX);
    }

    #[test]
    fn one_spelling_per_address() {
        for (text, expected) in [
            ("2620:010A:A001:A103:0000::1135", Some("2620:10a:a001:a103::1135")),
            ("FD01:6::0", Some("fd01:6::")),
            ("192.168.1.2", Some("192.168.1.2")),
            ("192.168.001.2", None),
            ("2620::10a:a103::1135", None),
            ("2620:10a:a001:a103:1135", None),
            ("fe80::1%eth0", None),
            ("10.10.10.276", None),
            ("[::1]", None),
            (" ::1", None),
            ("", None),
        ] {
            assert_eq!(canonical_ip(text).as_deref(), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>(), close in "[0-9a-f:./]{0,30}") {
            for text in [text, close] {
                if let Ok(subnet) = Subnet::parse(&text) {
                    prop_assert!(subnet.overlaps(&subnet) && subnet.contains(subnet.broadcast()));
                    prop_assert!(subnet.address_count() > 0);
                }
                if let Some(canonical) = canonical_ip(&text) {
                    prop_assert_eq!(canonical_ip(&canonical), Some(canonical.clone()));
                }
            }
        }

        #[test]
        fn overlap_agrees_with_shared_addresses(a in any::<u32>(), p in 0_u8..=32, flip in 0_u32..=31, q in 0_u8..=32) {
            let one = subnet(&format!("{}/{p}", std::net::Ipv4Addr::from(a)));
            let two = subnet(&format!("{}/{q}", std::net::Ipv4Addr::from(a ^ (1 << flip))));
            let shortest = u32::from(p.min(q));
            prop_assert_eq!(one.overlaps(&two), flip < 32 - shortest);
            prop_assert_eq!(one.overlaps(&two), two.overlaps(&one));
        }
    }
}
