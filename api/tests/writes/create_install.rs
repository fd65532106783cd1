//! §14.3: adding a subcloud that is also installed.

use serde_json::{Map, Value, json};

use crate::create::{accepted, prepare, refused};
use crate::fixture::*;

fn iv_form(values: Map<String, Value>) -> Form {
    Form::new().yaml("install_values", values).field("bmc_password", PASSWORD)
}

#[tokio::test]
async fn sc_069_070_071_072_073_074_075_082_install_values_and_releases() {
    let active = accepted(&bv(), &iv_form(iv()), "69, 70").await;
    assert_eq!(active["software-version"], "22.12");
    let shown: Value = serde_json::from_str(active["data_install"].as_str().unwrap()).unwrap();
    assert_eq!((&shown["bmc_password"], &shown["install_type"]), (&json!("***"), &json!(2)));
    assert!(shown["image"].as_str().unwrap().ends_with("loads/22.12/boot.iso"));

    let site = controller().await;
    let old = iv_form(iv()).field("release", "21.12");
    refused(&site, &bv(), &old, 400, "Failed to get 21.12 load image", "71").await;
    let old = iv_form(with(iv(), "software_version", "21.12")).field("release", "21.12");
    assert_eq!(accepted(&bv(), &old, "72").await["software-version"], "21.12");
    let no_password = Form::new().yaml("install_values", iv());
    refused(&site, &bv(), &no_password, 400, "bmc_password required", "74").await;
    let bad = no_password.field("bmc_password", "a");
    refused(&site, &bv(), &bad, 400, "Failed to decode subcloud bmc_password", "74").await;
    std::fs::remove_dir_all(site.dir.path().join("loads")).unwrap();
    refused(&site, &bv(), &iv_form(iv()), 400, "Failed to get 22.12 load image", "75").await;

    let kubernetes = with(bv(), "kubernetes_version", "1.21.8");
    let release = Form::new().field("release", "21.12");
    refused(&site, &kubernetes, &release, 400, "validate-config vars not found", "82").await;
    prepare(&site);
    refused(&site, &kubernetes, &release, 400, "doesn't match", "82").await;
    accepted(&with(bv(), "kubernetes_version", "1.23.1"), &release, "82").await;
}

#[tokio::test]
async fn sc_076_094_each_install_value() {
    let site = controller().await;
    for key in [
        "bootstrap_interface",
        "bootstrap_address",
        "bootstrap_address_prefix",
        "bmc_address",
        "bmc_username",
        "install_type",
    ] {
        let form = iv_form(without(iv(), key));
        refused(&site, &bv(), &form, 400, &format!("Mandatory install value {key} not present"), key).await;
    }
    let network = |key: &str, value: Value| with(with(iv(), "nexthop_gateway", "192.168.1.2"), key, value);
    let with_network = with(with(iv(), "network_address", "192.168.101.10"), "network_mask", 32);
    let mut cases = Vec::new();
    for value in [json!(-1), json!(6), json!("3"), json!("w"), json!(""), Value::Null] {
        cases.push(("83", with(iv(), "install_type", value)));
    }
    for value in [json!("192.168.1.256"), json!("192.168.206.wut"), Value::Null] {
        cases.push(("84", with(iv(), "bootstrap_address", value)));
    }
    for value in [json!("128.224.64.256"), json!("128.224.64.wut"), Value::Null, json!("fd01:6::7")] {
        cases.push(("85, 91", with(iv(), "bmc_address", value)));
    }
    for value in [json!("4000o"), json!("20000"), json!(40000.1), Value::Null, json!(20000)] {
        cases.push(("86", with(iv(), "persistent_size", value)));
    }
    for value in [json!("128.224.64.256"), json!("128.224.64.wut"), Value::Null, json!("fd01:6::7")] {
        cases.push(("87, 93", with(iv(), "nexthop_gateway", value)));
    }
    cases.push(("88", with(network("network_address", json!("fd01:6::0")), "network_mask", 32)));
    cases.push(("89", with_network.clone()));
    cases.push(("89", network("network_address", json!("192.168.101.10"))));
    for mask in [Value::Null, json!(64), json!(-1), json!("junk")] {
        cases.push((
            "90",
            with(with(with_network.clone(), "nexthop_gateway", "192.168.1.2"), "network_mask", mask),
        ));
    }
    let six = with(iv(), "bootstrap_address", "2620:10a:a001:a103::1135");
    for value in [json!("192.168.1.7"), Value::Null, json!("fd01:6:7")] {
        cases.push(("92", with(six.clone(), "bmc_address", value)));
    }
    let six = with(six, "bmc_address", "fd01:6::7");
    cases.push(("94", with(six.clone(), "nexthop_gateway", "192.168.1.2")));
    cases.push(("94", with(with(six, "bmc_address", "192.168.1.7"), "nexthop_gateway", "fd01:6::1")));
    for (case, values) in cases {
        refused(&site, &bv(), &iv_form(values), 400, "", case).await;
    }
}

#[tokio::test]
async fn sc_083_095_install_values_that_are_right() {
    let four = with(with(iv(), "install_type", 3), "persistent_size", 40000);
    let four = with(with(four, "bmc_address", "192.168.1.7"), "nexthop_gateway", "192.168.1.2");
    let four = with(with(four, "network_address", "192.168.101.10"), "network_mask", 32);
    accepted(&bv(), &iv_form(four), "83, 86, 87, 88, 90, 91, 93").await;
    let six = with(iv(), "bootstrap_address", "2620:010A:a001:a103:0000::1135");
    let six = with(with(six, "bmc_address", "fd01:6::7"), "nexthop_gateway", "fd01:6::1");
    let row = accepted(&bv(), &iv_form(six), "92, 94, 95").await;
    let shown: Value = serde_json::from_str(row["data_install"].as_str().unwrap()).unwrap();
    assert_eq!(shown["bootstrap_address"], "2620:10a:a001:a103::1135");
}
