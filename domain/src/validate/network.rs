//! Name and networks of a subcloud (subclouds.md V4, checks 1 to 14).

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{present, text};
use super::{Map, Refused};
use crate::value::{AddressRange, Name, Subnet};

/// Region names of the system itself, which no subcloud may be called.
const RESERVED: [&str; 2] = ["RegionOne", "SystemController"];
const MANAGEMENT_SUBNET_MIN: u128 = 7;
const MANAGEMENT_POOL_MIN: u128 = 4;
const ADMIN_SUBNET_MIN: u128 = 5;
const ADMIN_POOL_MIN: u128 = 2;
const OAM_SUBNET_MIN: u128 = 3;
const IPV6_PREFIX_MIN: u8 = 64;

/// The management network of the system controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its subnet, in which every system controller gateway must lie.
    pub management_subnet: Subnet,
    /// First address of the pool it allocates from, in which no gateway may lie.
    pub pool_start: IpAddr,
    /// Last address of that pool.
    pub pool_end: IpAddr,
}

/// The network of a subcloud as its row shows it: the admin network where there is one, else the management network
/// (subclouds.md §3.1). Addresses in canonical spelling, the subnet as given (V8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Addresses {
    /// Subnet in CIDR notation.
    pub subnet: String,
    /// First address of the pool.
    pub start: String,
    /// Last address of the pool.
    pub end: String,
    /// Gateway of the subcloud.
    pub gateway: String,
    /// Gateway of the system controller towards this subcloud.
    pub systemcontroller_gateway: String,
}

/// Checks name, management, admin and OAM network of a payload that passed V1, in the order of subclouds.md V4.
/// `taken` tells whether a subnet overlaps the management subnet of another subcloud. Every refusal is a bad request
/// that names the key.
pub fn network(
    payload: &Map,
    controller: &Controller,
    taken: &dyn Fn(&Subnet) -> bool,
) -> Result<Addresses, Refused> {
    let name = check_name(payload)?;
    Name::parse(&name).map_err(|error| Refused::bad_request(error.to_string()))?;
    addresses(payload, controller, taken)
}

/// As [`network`], for a payload whose name is that of the subcloud already (subclouds.md V14): one that was taken over
/// is kept, whatever names may consist of today (decisions.md, "Import").
pub fn network_of_existing(
    payload: &Map,
    controller: &Controller,
    taken: &dyn Fn(&Subnet) -> bool,
) -> Result<Addresses, Refused> {
    check_name(payload)?;
    addresses(payload, controller, taken)
}

/// Checks 3 to 14.
fn addresses(
    payload: &Map,
    controller: &Controller,
    taken: &dyn Fn(&Subnet) -> bool,
) -> Result<Addresses, Refused> {
    let management = management_pool(payload, taken)?;
    // V1 lets exactly one gateway through: the admin network's where there is one.
    let (admin, gateway, gateway_key) = if ADMIN.is_given(payload) {
        let (pool, gateway) = admin_network(payload, taken)?;
        (Some(pool), gateway, ADMIN.gateway)
    } else {
        (None, address_in(payload, MANAGEMENT.gateway, &management.subnet)?, MANAGEMENT.gateway)
    };
    outside(&management.range, gateway, gateway_key, "management")?;
    let systemcontroller_gateway = controller_gateway(payload, controller)?;
    check_oam(payload, taken)?;
    let shown = admin.unwrap_or(management);
    Ok(Addresses {
        subnet: shown.subnet.to_string(),
        start: shown.start.to_string(),
        end: shown.end.to_string(),
        gateway: gateway.to_string(),
        systemcontroller_gateway: systemcontroller_gateway.to_string(),
    })
}

/// The payload keys of one network.
struct Keys {
    subnet: &'static str,
    start: &'static str,
    end: &'static str,
    gateway: &'static str,
}

const MANAGEMENT: Keys = Keys {
    subnet: "management_subnet",
    start: "management_start_address",
    end: "management_end_address",
    gateway: "management_gateway_address",
};

const ADMIN: Keys = Keys {
    subnet: "admin_subnet",
    start: "admin_start_address",
    end: "admin_end_address",
    gateway: "admin_gateway_address",
};

impl Keys {
    fn is_given(&self, payload: &Map) -> bool {
        [self.subnet, self.start, self.end, self.gateway].iter().any(|key| present(payload, key).is_some())
    }
}

/// A subnet with the range allocated from.
struct Pool {
    subnet: Subnet,
    range: AddressRange,
    start: IpAddr,
    end: IpAddr,
}

/// Checks 1 and 2; the name.
fn check_name(payload: &Map) -> Result<Cow<'_, str>, Refused> {
    let name = payload.get("name").and_then(text).unwrap_or_default();
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refused::bad_request("name must contain alphabetic characters"));
    }
    if RESERVED.contains(&name.as_ref()) {
        return Err(Refused::bad_request(format!("name cannot be {}", RESERVED.join(" or "))));
    }
    Ok(name)
}

/// Checks 3 to 7.
fn management_pool(payload: &Map, taken: &dyn Fn(&Subnet) -> bool) -> Result<Pool, Refused> {
    pool(payload, &MANAGEMENT, MANAGEMENT_SUBNET_MIN, MANAGEMENT_POOL_MIN, taken)
}

/// Check 9.
fn admin_network(payload: &Map, taken: &dyn Fn(&Subnet) -> bool) -> Result<(Pool, IpAddr), Refused> {
    let pool = pool(payload, &ADMIN, ADMIN_SUBNET_MIN, ADMIN_POOL_MIN, taken)?;
    let gateway = address_in(payload, ADMIN.gateway, &pool.subnet)?;
    outside(&pool.range, gateway, ADMIN.gateway, "admin")?;
    Ok((pool, gateway))
}

fn pool(
    payload: &Map,
    keys: &Keys,
    subnet_min: u128,
    pool_min: u128,
    taken: &dyn Fn(&Subnet) -> bool,
) -> Result<Pool, Refused> {
    let subnet = free_subnet(payload, keys.subnet, subnet_min, taken)?;
    let start = address_in(payload, keys.start, &subnet)?;
    let end = address_in(payload, keys.end, &subnet)?;
    let range = AddressRange::new(start, end).filter(|_| start != end).ok_or_else(|| {
        Refused::bad_request(format!("{} {start} not less than {} {end}", keys.start, keys.end))
    })?;
    if range.address_count() < pool_min {
        let text = format!("{} - {} range must contain at least {pool_min} addresses", keys.start, keys.end);
        return Err(Refused::bad_request(text));
    }
    Ok(Pool { subnet, range, start, end })
}

/// Checks 11 and 12.
fn controller_gateway(payload: &Map, controller: &Controller) -> Result<IpAddr, Refused> {
    let key = "systemcontroller_gateway_address";
    let gateway = address_in(payload, key, &controller.management_subnet)?;
    match AddressRange::new(controller.pool_start, controller.pool_end) {
        Some(pool) => outside(&pool, gateway, key, "management").map(|()| gateway),
        None => Ok(gateway),
    }
}

/// Checks 13 and 14.
fn check_oam(payload: &Map, taken: &dyn Fn(&Subnet) -> bool) -> Result<(), Refused> {
    let subnet = free_subnet(payload, "external_oam_subnet", OAM_SUBNET_MIN, taken)?;
    address_in(payload, "external_oam_gateway_address", &subnet)?;
    address_in(payload, "external_oam_floating_address", &subnet)?;
    Ok(())
}

fn free_subnet(
    payload: &Map,
    key: &str,
    min: u128,
    taken: &dyn Fn(&Subnet) -> bool,
) -> Result<Subnet, Refused> {
    let given = payload.get(key).and_then(text).unwrap_or_default();
    let subnet = Subnet::parse(&given).map_err(|error| Refused::invalid(key, error))?;
    if subnet.address_count() < min {
        return Err(Refused::invalid(
            key,
            format_args!("Subnet too small - must have at least {min} addresses"),
        ));
    }
    if subnet.is_ipv6() && subnet.prefix_len() < IPV6_PREFIX_MIN {
        return Err(Refused::invalid(key, format_args!("IPv6 minimum prefix length is {IPV6_PREFIX_MIN}")));
    }
    if taken(&subnet) {
        return Err(Refused::invalid(key, "Subnet overlaps with another configured subnet"));
    }
    Ok(subnet)
}

fn address_in(payload: &Map, key: &str, subnet: &Subnet) -> Result<IpAddr, Refused> {
    let refused = |why: &dyn fmt::Display| Err(Refused::invalid(key, why));
    let Some(address) = super::fields::address(payload.get(key)) else {
        return refused(&"not a valid IP address");
    };
    if !subnet.same_family(address) {
        return refused(&format_args!("Invalid IP version - must match subnet {subnet}"));
    }
    if address == subnet.broadcast() {
        return refused(&"Cannot use broadcast address");
    }
    if !subnet.contains(address) {
        return refused(&format_args!("Address must be in subnet {subnet}"));
    }
    Ok(address)
}

fn outside(range: &AddressRange, gateway: IpAddr, key: &str, pool: &str) -> Result<(), Refused> {
    if range.contains(gateway) {
        return Err(Refused::invalid(key, format_args!("{gateway} is within {pool} pool {range}")));
    }
    Ok(())
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
