//! What the files of a subcloud say (jobs.md §0.5, §1.3).

use dcm_domain::subcloud::{DeployArtifacts, Document, Subcloud};
use dcm_domain::validate::HIDDEN;
use serde_json::{Map, Value, json};

use super::files::Paths;
use super::materials::{Materials, Unprepared};
use super::settings::ControllerFacts;

type Mapping = Map<String, Value>;

/// Members of a payload that are no overrides (jobs.md §0.5).
const NO_OVERRIDES: [&str; 7] = [
    "deploy_playbook",
    "deploy_values",
    "deploy_config",
    "deploy_chart",
    "deploy_overrides",
    "install_values",
    "sysadmin_password",
];
/// Install values that go to the BMC's configuration instead.
const BMC: [&str; 3] = ["bmc_username", "bmc_address", "bmc_password"];
const RVMC_IMAGE: &str = "registry.local:9001/docker.io/starlingx/rvmc:stx.8.0-v1.0.2";

/// The inventory of one host.
pub(super) fn inventory(name: &str, address: &str, initial_deployment: bool) -> Value {
    let mut hosts = Mapping::new();
    hosts.insert(name.to_owned(), json!({"ansible_host": address}));
    json!({"all": {
        "vars": {
            "ansible_ssh_user": "sysadmin",
            "ansible_ssh_extra_args": "-o UserKnownHostsFile=/dev/null",
            "initial_deployment": initial_deployment,
        },
        "hosts": hosts,
    }})
}

/// Overrides: the generated keys, then the payload.
pub(super) fn overrides(controller: &ControllerFacts, payload: &Mapping) -> Mapping {
    let generated = json!({
        "region_config": true,
        "distributed_cloud_role": "subcloud",
        "system_controller_subnet": controller.management_subnet,
        "system_controller_floating_address": controller.floating_address,
        "system_controller_oam_subnet": controller.oam_subnet,
        "system_controller_oam_floating_address": controller.oam_floating_address,
    });
    let mut overrides = generated.as_object().cloned().unwrap_or_default();
    for (key, value) in payload {
        if !NO_OVERRIDES.contains(&key.as_str()) && !overrides.contains_key(key) {
            overrides.insert(key.clone(), value.clone());
        }
    }
    overrides
}

/// The overrides with which a subcloud is bootstrapped.
pub(super) fn bootstrap_overrides(
    controller: &ControllerFacts,
    materials: &Materials,
) -> Result<Value, Unprepared> {
    let payload = materials.bootstrap.as_ref().ok_or(Unprepared::Missing("there are no bootstrap values"))?;
    let mut overrides = overrides(controller, payload);
    passwords(&mut overrides, materials.password()?);
    Ok(Value::Object(overrides))
}

/// The overrides as they are kept: of the payload only what may be shown.
pub(super) fn kept_overrides(controller: &ControllerFacts, subcloud: &Subcloud) -> Value {
    let mut kept = overrides(controller, &shown(&subcloud.bootstrap));
    kept.insert("software_version".to_owned(), subcloud.software_version.clone().into());
    Value::Object(kept)
}

/// What an installation is told, `rvmc_config_dir` being the work directory. What the boot image is made with stays in
/// it: no tool made one that would have used it up.
pub(super) fn install_values(paths: &Paths, materials: &Materials) -> Result<Value, Unprepared> {
    let given = materials.install.as_ref().ok_or(Unprepared::Missing("there are no install values"))?;
    let mut values = install_header(paths);
    values.extend(remaining(given));
    let password = materials.password()?;
    for key in ["ansible_ssh_pass", "ansible_become_pass"] {
        values.insert(key.to_owned(), password.into());
    }
    Ok(Value::Object(values))
}

/// The install values as they are kept.
pub(super) fn kept_install_values(paths: &Paths, subcloud: &Subcloud) -> Value {
    let mut values = install_header(paths);
    values.extend(remaining(&shown(&subcloud.install)));
    Value::Object(values)
}

fn install_header(paths: &Paths) -> Mapping {
    let header = json!({
        "password_change": true,
        "rvmc_image": RVMC_IMAGE,
        "rvmc_name": format!("rvmc-{}", paths.name()),
        "host_name": paths.name(),
        "rvmc_config_dir": paths.work().display().to_string(),
    });
    header.as_object().cloned().unwrap_or_default()
}

fn remaining(install: &Mapping) -> impl Iterator<Item = (String, Value)> + '_ {
    install
        .iter()
        .filter(|(key, _)| !BMC.contains(&key.as_str()) && key.as_str() != "image")
        .map(|(key, value)| (key.clone(), value.clone()))
}

/// How the server's BMC is reached. The password stays in base64, as it was sent (subclouds.md §1.4).
pub(super) fn rvmc_config(install: &Mapping) -> Value {
    let member = |key: &&str| Some(((*key).to_owned(), install.get(*key)?.clone()));
    Value::Object(BMC.iter().chain(&["image"]).filter_map(member).collect())
}

/// The configuration of the BMC as it is kept.
pub(super) fn kept_rvmc_config(subcloud: &Subcloud) -> Value {
    rvmc_config(&shown(&subcloud.install))
}

/// What the deployment manager is told, without passwords.
pub(super) fn deploy_values(paths: &Paths, artifacts: &DeployArtifacts) -> Mapping {
    let values = json!({
        "deployment_config": paths.deploy_config().display().to_string(),
        "deployment_manager_chart": artifacts.deploy_chart,
        "deployment_manager_overrides": artifacts.deploy_overrides,
        "user_uploaded_artifacts": artifacts.user_uploaded_artifacts,
    });
    values.as_object().cloned().unwrap_or_default()
}

/// Adds the passwords a playbook logs in with. The administrator of the subcloud gets the password that the documents
/// name, or else the same one: there is no key ring that knows the system controller's.
pub(super) fn passwords(values: &mut Mapping, password: &str) {
    for key in ["ansible_become_pass", "ansible_ssh_pass"] {
        values.insert(key.to_owned(), password.into());
    }
    values.entry("admin_password").or_insert_with(|| password.into());
}

/// The part of a document that may be shown.
fn shown(document: &Option<Document>) -> Mapping {
    let shown =
        document.as_ref().and_then(|document| document.shown.as_object()).cloned().unwrap_or_default();
    shown.into_iter().filter_map(|(key, value)| Some((key, unmasked(value)?))).collect()
}

/// `value` without what is masked in it.
fn unmasked(value: Value) -> Option<Value> {
    match value {
        Value::String(text) if text == HIDDEN => None,
        Value::Object(members) => Some(Value::Object(
            members.into_iter().filter_map(|(key, member)| Some((key, unmasked(member)?))).collect(),
        )),
        Value::Array(items) => Some(items.into_iter().filter_map(unmasked).collect()),
        scalar => Some(scalar),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use dcm_domain::value::Secret;
    use serde_json::{Value, json};

    use super::super::settings::ControllerFacts;
    use super::{Materials, Paths, bootstrap_overrides, install_values, rvmc_config};

    fn materials(install: Value, bootstrap: Value) -> Materials {
        Materials {
            install: install.as_object().cloned(),
            bootstrap: bootstrap.as_object().cloned(),
            deploy_config: None,
            sysadmin_password: Some(Secret::new("Li69nux*".into())),
        }
    }

    #[test]
    fn overrides_are_the_generated_keys_then_the_payload() {
        let payload = json!({
            "name": "edge1", "install_values": "x", "sysadmin_password": "x", "distributed_cloud_role": "boss",
        });
        let overrides =
            bootstrap_overrides(&ControllerFacts::default(), &materials(json!({}), payload)).unwrap();
        let keys: Vec<&str> = overrides.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "region_config",
                "distributed_cloud_role",
                "system_controller_subnet",
                "system_controller_floating_address",
                "system_controller_oam_subnet",
                "system_controller_oam_floating_address",
                "name",
                "ansible_become_pass",
                "ansible_ssh_pass",
                "admin_password",
            ]
        );
        assert_eq!(overrides["distributed_cloud_role"], "subcloud");
    }

    #[test]
    fn the_bmc_has_a_file_of_its_own() {
        let install = json!({"bmc_address": "10.0.0.1", "bmc_password": "eA==", "wait_for_timeout": 9});
        let materials = materials(install.clone(), json!({}));
        let values = install_values(&Paths::new(Path::new("/A"), "edge1"), &materials).unwrap();
        assert_eq!(values["rvmc_name"], "rvmc-edge1");
        assert_eq!(values["rvmc_config_dir"], "/A/edge1");
        assert_eq!(values["wait_for_timeout"], 9);
        assert!(values.get("bmc_password").is_none());
        let rvmc = rvmc_config(install.as_object().unwrap());
        assert_eq!(rvmc, json!({"bmc_address": "10.0.0.1", "bmc_password": "eA=="}));
    }
}
