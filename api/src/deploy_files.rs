//! Files on this controller that a deployment needs: load images, deployment manager files, a release's variables.
//!
//! A release that gets here was accepted by subclouds.md V2, so it names a folder; what could leave it is refused all
//! the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dcm_domain::deploy_files::DeployOption;
use dcm_domain::subcloud::DeployArtifacts;
use dcm_domain::validate::{Map, Refused, Status};

use crate::app::Settings;

/// Where the files are; one directory each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployFiles {
    /// Load images: `<release>/*.iso` with its `*.sig`.
    pub loads: PathBuf,
    /// Uploaded deploy files: `<release>/<option>_<file>`.
    pub deploy: PathBuf,
    /// The product's own deploy files, taken where none were uploaded.
    pub alternative: PathBuf,
    /// Bootstrap validation variables of releases that are not active: `<release>/<variables>`.
    pub previous_playbooks: PathBuf,
    /// Path of those variables below the release's folder.
    pub variables: PathBuf,
}

impl From<&Settings> for DeployFiles {
    fn from(settings: &Settings) -> Self {
        let dirs = &settings.dirs;
        Self {
            loads: dirs.loads.clone(),
            deploy: dirs.deploy.clone(),
            alternative: dirs.applications.clone(),
            previous_playbooks: dirs.previous_playbooks.clone(),
            variables: settings.release_variables.clone(),
        }
    }
}

impl DeployFiles {
    /// The load image of `release` (subclouds.md V5.7).
    ///
    /// # Errors
    /// `Failed to get <release> load image` without a folder, `No matching: .iso found in vault` without image or
    /// signature.
    pub async fn load_image(&self, release: &str) -> Result<String, Refused> {
        let (loads, release) = (self.loads.clone(), release.to_owned());
        off_thread(move || load_image(&loads, &release)).await
    }

    /// The deployment manager's files for `release`: the uploaded ones if all three are there, else the product's
    /// (subclouds.md V9).
    ///
    /// # Errors
    /// `Missing required deploy files` with the missing ones.
    pub async fn artifacts(&self, release: &str) -> Result<DeployArtifacts, Refused> {
        let (deploy, alternative, release) =
            (self.deploy.clone(), self.alternative.clone(), release.to_owned());
        off_thread(move || artifacts(&deploy, &alternative, &release)).await
    }

    /// The names of the files uploaded for `release`, by option; the first one by name, if there are several.
    ///
    /// # Errors
    /// 503 if nobody can look.
    pub async fn uploaded(&self, release: &str) -> Result<BTreeMap<DeployOption, String>, Refused> {
        let folder = folder(&self.deploy, release);
        off_thread(move || Ok(folder.map(|folder| uploaded(&folder)).unwrap_or_default())).await
    }

    /// The bootstrap validation variables of `release`, if they are there (subclouds.md V6).
    pub async fn variables(&self, release: &str) -> Option<Map> {
        let folder = folder(&self.previous_playbooks, release)?;
        let text = tokio::fs::read_to_string(folder.join(&self.variables)).await.ok()?;
        serde_yaml_ng::from_str(&text).ok()
    }
}

async fn off_thread<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(look)
        .await
        .unwrap_or_else(|_| Err(Refused::new(Status::Unavailable, "unable to look for files")))
}

/// The folder of `release` in `base`; none for what is no single path component.
pub(crate) fn folder(base: &Path, release: &str) -> Option<PathBuf> {
    let mut parts = Path::new(release).components();
    match (parts.next(), parts.next()) {
        (Some(std::path::Component::Normal(part)), None) => Some(base.join(part)),
        _ => None,
    }
}

fn load_image(loads: &Path, release: &str) -> Result<String, Refused> {
    let no_load = || Refused::bad_request(format!("Failed to get {release} load image"));
    let folder = folder(loads, release).filter(|folder| folder.is_dir()).ok_or_else(no_load)?;
    let find = |ending: &str| {
        first(&folder, |name| name.ends_with(ending))
            .ok_or_else(|| Refused::bad_request(format!("No matching: {ending} found in vault: {release}")))
    };
    let image = find(".iso")?;
    find(".sig")?;
    Ok(image)
}

fn artifacts(deploy: &Path, alternative: &Path, release: &str) -> Result<DeployArtifacts, Refused> {
    let uploaded = folder(deploy, release).map(|folder| {
        [DeployOption::Playbook, DeployOption::Overrides, DeployOption::Chart]
            .map(|option| of_option(&folder, option))
    });
    if let Some([Some(deploy_playbook), Some(deploy_overrides), Some(deploy_chart)]) = uploaded {
        let user_uploaded_artifacts = true;
        return Ok(DeployArtifacts {
            deploy_playbook,
            deploy_overrides,
            deploy_chart,
            user_uploaded_artifacts,
        });
    }
    let found = [
        first(&alternative.join("playbooks"), |name| name.ends_with("deployment-manager.yaml")),
        first(&alternative.join("overrides"), |name| name.ends_with("-overrides-subcloud.yaml")),
        first(&alternative.join("helm"), |name| name.contains("deployment-manager")),
    ];
    let missing: Vec<_> = ["deploy_playbook", "deploy_overrides", "deploy_chart"]
        .into_iter()
        .zip(&found)
        .filter_map(|(option, file)| file.is_none().then_some(option))
        .collect();
    match found {
        [Some(deploy_playbook), Some(deploy_overrides), Some(deploy_chart)] => {
            let user_uploaded_artifacts = false;
            Ok(DeployArtifacts { deploy_playbook, deploy_overrides, deploy_chart, user_uploaded_artifacts })
        }
        _ => Err(Refused::bad_request(format!("Missing required deploy files: {}", missing.join(", ")))),
    }
}

fn uploaded(folder: &Path) -> BTreeMap<DeployOption, String> {
    let name = |option: DeployOption| {
        let path = of_option(folder, option)?;
        let stored = Path::new(&path).file_name()?.to_str()?;
        Some((option, stored.strip_prefix(option.as_str())?.strip_prefix('_')?.to_owned()))
    };
    DeployOption::ALL.into_iter().filter_map(name).collect()
}

/// The path of the uploaded file of `option`.
fn of_option(folder: &Path, option: DeployOption) -> Option<String> {
    let prefix = format!("{}_", option.as_str());
    first(folder, |name| name.starts_with(&prefix))
}

/// The path of the first file of `folder`, by name, whose name is `wanted`.
fn first(folder: &Path, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| wanted(name))
        .collect();
    names.sort_unstable();
    names
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())?
        .into_os_string()
        .into_string()
        .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn write(base: &Path, file: &str) {
        let path = base.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }

    #[test]
    fn sc_071_072_075_a_load_has_an_image_and_a_signature() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load_image(dir.path(), "21.12").unwrap_err().text, "Failed to get 21.12 load image");
        write(dir.path(), "21.12/readme.txt");
        assert!(
            load_image(dir.path(), "21.12").unwrap_err().text.contains("No matching: .iso found in vault")
        );
        write(dir.path(), "21.12/b.iso");
        assert!(load_image(dir.path(), "21.12").unwrap_err().text.contains("No matching: .sig"));
        write(dir.path(), "21.12/b.sig");
        write(dir.path(), "21.12/a.iso");
        assert!(load_image(dir.path(), "21.12").unwrap().ends_with("21.12/a.iso"));
        for outside in ["..", ".", "/", "../21.12", "21.12/..", ""] {
            assert!(load_image(&dir.path().join("21.12"), outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn sc_122_uploaded_files_come_first_and_all_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let (deploy, alternative) = (dir.path().join("deploy"), dir.path().join("alt"));
        let text = artifacts(&deploy, &alternative, "22.12").unwrap_err().text;
        assert_eq!(text, "Missing required deploy files: deploy_playbook, deploy_overrides, deploy_chart");
        write(&deploy, "22.12/deploy_playbook_a.yaml");
        write(&deploy, "22.12/deploy_overrides_a.yaml");
        write(&alternative, "playbooks/wind-river-deployment-manager.yaml");
        write(&alternative, "helm/deployment-manager-1.tgz");
        let text = artifacts(&deploy, &alternative, "22.12").unwrap_err().text;
        assert_eq!(text, "Missing required deploy files: deploy_overrides");
        write(&alternative, "overrides/x-overrides-subcloud.yaml");
        assert!(!artifacts(&deploy, &alternative, "22.12").unwrap().user_uploaded_artifacts);
        write(&deploy, "22.12/deploy_chart_a.tgz");
        let found = artifacts(&deploy, &alternative, "22.12").unwrap();
        assert!(found.user_uploaded_artifacts && found.deploy_chart.ends_with("22.12/deploy_chart_a.tgz"));
    }
}
