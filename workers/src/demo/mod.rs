//! The demo fleet of `serve --demo N` (design.md §10): its subclouds, an authority that signs for them, and the
//! loopback endpoint at which their certificates are served.

pub mod authority;
pub mod endpoints;
pub mod fill;

use std::net::Ipv4Addr;

/// The largest fleet: as many /24 networks as fit between 10.1.0.0 and the end of 10.0.0.0/8, rounded down.
pub const LARGEST_FLEET: u32 = 60_000;

/// What an ordinary add command is told about one demo subcloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSubcloud {
    /// `subcloud1`, `subcloud2`, ...
    pub name: String,
    /// 32 hexadecimal digits in the form of a random UUID, the same ones for the same number in every fleet.
    pub region: String,
    /// A /24 network out of 10.0.0.0/8, such as `10.1.0.0/24`.
    pub management_subnet: String,
    /// The first address of the subcloud's nodes: `.2`.
    pub management_start_ip: Ipv4Addr,
    /// The last address of the subcloud's nodes: `.50`.
    pub management_end_ip: Ipv4Addr,
    /// The network's gateway: `.1`.
    pub management_gateway_ip: Ipv4Addr,
}

/// More subclouds were asked for than there are networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a demo fleet has at most {LARGEST_FLEET} subclouds, not {0}")]
pub struct FleetTooLarge(pub u32);

/// The first `count` demo subclouds. Names, regions and networks are unique, and subcloud K is the same in every
/// fleet, so that an interrupted fill can be completed.
pub fn fleet(count: u32) -> Result<Vec<DemoSubcloud>, FleetTooLarge> {
    if count > LARGEST_FLEET {
        return Err(FleetTooLarge(count));
    }
    Ok((0..count).map(subcloud).collect())
}

fn subcloud(index: u32) -> DemoSubcloud {
    let network = u32::from(Ipv4Addr::new(10, 1, 0, 0)) + index * 256;
    let host = |number: u32| Ipv4Addr::from(network + number);
    DemoSubcloud {
        name: format!("subcloud{}", index + 1),
        region: region(index),
        management_subnet: format!("{}/24", host(0)),
        management_start_ip: host(2),
        management_end_ip: host(50),
        management_gateway_ip: host(1),
    }
}

/// Regions look like those the API makes, but follow from the number. The first half alone is unique: [`scatter`]
/// maps no two numbers to one.
fn region(index: u32) -> String {
    let first = scatter(u64::from(index) + 1);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_be_bytes());
    bytes[8..].copy_from_slice(&scatter(first).to_be_bytes());
    uuid::Builder::from_random_bytes(bytes).into_uuid().simple().to_string()
}

/// The finishing step of the SplitMix64 generator: a bijection on 64 bits whose neighbours have nothing in common.
fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use std::collections::HashSet;

    use rustls_pki_types::DnsName;

    use super::*;

    #[test]
    fn the_first_subcloud_has_the_first_network() {
        let first = fleet(1).unwrap().remove(0);
        assert_eq!(first.name, "subcloud1");
        assert_eq!(first.management_subnet, "10.1.0.0/24");
        assert_eq!(first.management_gateway_ip, Ipv4Addr::new(10, 1, 0, 1));
        assert_eq!(first.management_start_ip, Ipv4Addr::new(10, 1, 0, 2));
        assert_eq!(first.management_end_ip, Ipv4Addr::new(10, 1, 0, 50));
    }

    #[test]
    fn the_largest_fleet_is_unique_and_stays_in_its_network() {
        let fleet = fleet(LARGEST_FLEET).unwrap();
        let unique = |of: fn(&DemoSubcloud) -> &str| fleet.iter().map(of).collect::<HashSet<_>>().len();
        assert_eq!(unique(|s| &s.name), fleet.len());
        assert_eq!(unique(|s| &s.region), fleet.len());
        assert_eq!(unique(|s| &s.management_subnet), fleet.len());
        for subcloud in &fleet {
            assert_eq!(subcloud.management_start_ip.octets()[0], 10, "{subcloud:?}");
            assert_eq!(subcloud.region.len(), 32);
            assert!(DnsName::try_from(subcloud.region.as_str()).is_ok(), "asked for by name: {subcloud:?}");
        }
    }

    #[test]
    fn a_subcloud_is_the_same_in_every_fleet() {
        let (small, large) = (fleet(20).unwrap(), fleet(1_000).unwrap());
        assert_eq!(small[..], large[..20]);
    }

    #[test]
    fn a_fleet_without_networks_is_refused() {
        assert_eq!(fleet(LARGEST_FLEET + 1), Err(FleetTooLarge(LARGEST_FLEET + 1)));
        assert_eq!(fleet(u32::MAX), Err(FleetTooLarge(u32::MAX)));
        assert_eq!(fleet(0), Ok(Vec::new()));
    }
}
