//! Install values (subclouds.md V5) and the spelling of their addresses (V8).

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, ip_mask_to_prefix};
use serde_json::Value;

use super::fields::{address, quoted, respell, text};
use super::masking::{INSTALL_VALUES, masked_field};
use super::{Map, Refused, password};

const PERSISTENT_SIZE_MIN: i64 = 30000;
const INSTALL_TYPES: std::ops::RangeInclusive<i64> = 0..=5;
const MANDATORY: [&str; 7] = [
    "bootstrap_interface",
    "bootstrap_address",
    "bootstrap_address_prefix",
    "install_type",
    "bmc_username",
    "bmc_address",
    "bmc_password",
];
const ADDRESSES: [&str; 4] = ["bootstrap_address", "bmc_address", "nexthop_gateway", "network_address"];

/// Checks install values in the order of subclouds.md V5 and returns them completed: `software_version` is
/// `target_release`, `bmc_password` the form field as sent (still base64), `image` what the lookup found for the
/// target release, addresses in canonical spelling (V8).
///
/// `stored` are the values stored before, whose fields a refusal shows beside a missing one. `image` gives the load
/// image of a release, or the refusal that says why there is none. The result holds a password: it belongs into the
/// vault, and only its [`masked`](super::masked) form anywhere else.
pub fn install_values(
    mut values: Map,
    bmc_password: Option<&str>,
    target_release: &str,
    stored: Option<&Map>,
    image: &dyn Fn(&str) -> Result<String, Refused>,
) -> Result<Map, Refused> {
    let bmc_password = password::still_encoded("bmc_password", bmc_password)?;
    values.insert("bmc_password".to_owned(), Value::String(bmc_password.to_owned()));
    settle_version(&mut values, target_release)?;
    at_least(&values, "persistent_size", PERSISTENT_SIZE_MIN, "the permitted minimum of 30000")?;
    at_least(&values, "hw_settle", 0, "0")?;
    check_boot_params(&values)?;
    check_mandatory(&values, stored)?;
    values.insert("image".to_owned(), Value::String(image(target_release)?));
    check_install_type(&values)?;
    check_addresses(&values)?;
    check_ipv6_dad(&values)?;
    ADDRESSES.iter().try_for_each(|key| respell(&mut values, key))?;
    Ok(values)
}

/// Check 2. A version written as a YAML number becomes the same text.
fn settle_version(values: &mut Map, target: &str) -> Result<(), Refused> {
    if let Some(given) = values.get("software_version") {
        let given = text(given).unwrap_or_default();
        if given != target {
            return Err(Refused::bad_request(format!(
                "software_version {} of the install values does not match with the specified/current software \
                 version {target}",
                quoted(&given)
            )));
        }
    }
    values.insert("software_version".to_owned(), Value::String(target.to_owned()));
    Ok(())
}

/// Checks 3 and 4.
fn at_least(values: &Map, key: &str, min: i64, bound: &str) -> Result<(), Refused> {
    let Some(value) = values.get(key) else { return Ok(()) };
    match value.as_i64() {
        None => Err(Refused::bad_request(format!("{key} in the install values must be a whole number"))),
        Some(number) if number < min => {
            Err(Refused::bad_request(format!("{key} of {number} is less than {bound}")))
        }
        Some(_) => Ok(()),
    }
}

/// Check 5. Any white space or control character counts as a blank: the parameters go into a boot loader's line.
fn check_boot_params(values: &Map) -> Result<(), Refused> {
    let Some(value) = values.get("extra_boot_params") else { return Ok(()) };
    let params = text(value).unwrap_or_default();
    if params.is_empty() || params == "None" {
        return Err(Refused::bad_request("extra_boot_params must not be empty"));
    }
    if params.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Refused::bad_request("extra_boot_params invalid: Spaces are not allowed"));
    }
    Ok(())
}

/// Check 6.
fn check_mandatory(values: &Map, stored: Option<&Map>) -> Result<(), Refused> {
    let Some(key) = MANDATORY.iter().find(|key| !values.contains_key(**key)) else { return Ok(()) };
    let mut text = format!("Mandatory install value {key} not present");
    if let Some(before) = stored.and_then(|stored| stored.get(*key)) {
        text = format!("{text}, stored {key}: {}", masked_field(key, before, &INSTALL_VALUES));
    }
    Err(Refused::bad_request(text))
}

/// Check 8.
fn check_install_type(values: &Map) -> Result<(), Refused> {
    match values.get("install_type").and_then(Value::as_i64) {
        Some(number) if INSTALL_TYPES.contains(&number) => Ok(()),
        _ => Err(Refused::invalid("install_type", "must be a whole number from 0 to 5")),
    }
}

/// Checks 9 to 12.
fn check_addresses(values: &Map) -> Result<(), Refused> {
    let bootstrap = address(values.get("bootstrap_address"))
        .ok_or_else(|| Refused::invalid("bootstrap_address", NOT_AN_ADDRESS))?;
    let bmc =
        address(values.get("bmc_address")).ok_or_else(|| Refused::invalid("bmc_address", NOT_AN_ADDRESS))?;
    same_family("bmc_address", bmc, bootstrap)?;
    if values.contains_key("nexthop_gateway") {
        let gateway = address(values.get("nexthop_gateway"))
            .ok_or_else(|| Refused::invalid("nexthop_gateway address", NOT_AN_ADDRESS))?;
        same_family("nexthop_gateway address", gateway, bootstrap)?;
    }
    if values.contains_key("network_address") { check_network(values, bootstrap) } else { Ok(()) }
}

const NOT_AN_ADDRESS: &str = "not a valid IP address";

/// Check 12.
fn check_network(values: &Map, bootstrap: IpAddr) -> Result<(), Refused> {
    if !values.contains_key("nexthop_gateway") {
        return Err(Refused::bad_request("nexthop_gateway is required when network_address is present"));
    }
    let Some(mask) = values.get("network_mask") else {
        return Err(Refused::bad_request("network mask is required when network_address is present"));
    };
    let network = address(values.get("network_address"))
        .and_then(|address| IpNet::new(address, prefix(mask, address)?).ok())
        .ok_or_else(|| Refused::invalid("network address", "no network of this address and mask"))?;
    same_family("network address", network.addr(), bootstrap)
}

/// The prefix length a mask means, given as that length or as an address of the family of `address`, such as
/// `255.255.255.0`.
fn prefix(mask: &Value, address: IpAddr) -> Option<u8> {
    let mask = text(mask)?;
    if mask.bytes().all(|b| b.is_ascii_digit()) {
        return mask.parse().ok();
    }
    let mask: IpAddr = mask.parse().ok()?;
    (mask.is_ipv4() == address.is_ipv4()).then_some(ip_mask_to_prefix(mask).ok()?)
}

fn same_family(what: impl fmt::Display, one: IpAddr, bootstrap: IpAddr) -> Result<(), Refused> {
    if one.is_ipv4() == bootstrap.is_ipv4() {
        return Ok(());
    }
    Err(Refused::bad_request(format!("{what} and bootstrap_address must be the same IP version")))
}

/// Check 13.
fn check_ipv6_dad(values: &Map) -> Result<(), Refused> {
    let key = "rd.net.timeout.ipv6dad";
    let Some(value) = values.get(key) else { return Ok(()) };
    match text(value).and_then(|digits| digits.parse::<i64>().ok()) {
        None => Err(Refused::invalid(key, "must be a whole number")),
        Some(seconds) if seconds <= 0 => Err(Refused::bad_request(format!("{key} must be greater than 0"))),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
