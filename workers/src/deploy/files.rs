//! Names and writing of a subcloud's files (jobs.md §0.5), in the directory that is kept and in a run's private one.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::fs;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::yaml;
use crate::playbook::{log_path, sentinel_path};

/// The files of one subcloud in one directory.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    directory: PathBuf,
    name: String,
}

impl Paths {
    pub(super) fn new(directory: &Path, name: &str) -> Self {
        Self { directory: directory.to_owned(), name: name.to_owned() }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("{}{ending}", self.name))
    }

    pub(super) fn inventory(&self) -> PathBuf {
        self.file("_inventory.yml")
    }

    pub(super) fn overrides(&self) -> PathBuf {
        self.file(".yml")
    }

    pub(super) fn deploy_values(&self) -> PathBuf {
        self.file("_deploy_values.yml")
    }

    pub(super) fn deploy_config(&self) -> PathBuf {
        self.file("_deploy_config.yml")
    }

    /// Work directory of the installation.
    pub(super) fn work(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    pub(super) fn install_values(&self) -> PathBuf {
        self.work().join("install_values.yml")
    }

    pub(super) fn rvmc_config(&self) -> PathBuf {
        self.work().join("rvmc-config.yaml")
    }

    pub(super) fn sentinel(&self) -> PathBuf {
        sentinel_path(&self.directory, &self.name)
    }

    /// Moves everything that is kept for the subcloud, its log in `logs` too, to the name of `to` (jobs.md §1.5).
    /// Exactly these files: a neighbour's may begin with the same letters (M-21).
    pub(super) async fn rename_all(&self, to: &Self, logs: &Path) -> io::Result<()> {
        match fs::read_to_string(self.inventory()).await {
            Ok(inventory) => {
                let inventory = serde_yaml_ng::from_str(&inventory).map_err(io::Error::other)?;
                write_yaml(&to.inventory(), &self.with_host(to, inventory)).await?;
                absent(fs::remove_file(self.inventory()).await)?;
            }
            Err(error) => absent(Err(error))?,
        }
        for (from, to) in [
            (self.overrides(), to.overrides()),
            (self.deploy_values(), to.deploy_values()),
            (self.deploy_config(), to.deploy_config()),
            (self.work(), to.work()),
            (log_path(logs, &self.name), log_path(logs, &to.name)),
        ] {
            absent(fs::rename(from, to).await)?;
        }
        Ok(())
    }

    /// The inventory with the host under its new name.
    fn with_host(&self, to: &Self, mut inventory: Value) -> Value {
        let hosts = inventory.pointer_mut("/all/hosts").and_then(Value::as_object_mut);
        if let Some(hosts) = hosts
            && let Some(host) = hosts.remove(&self.name)
        {
            hosts.insert(to.name.clone(), host);
        }
        inventory
    }

    /// Removes everything that was kept for the subcloud, its logs in `logs` too (jobs.md §1.5).
    pub(super) async fn remove_all(&self, logs: &Path) -> io::Result<()> {
        let log = log_path(logs, &self.name);
        let mut rotated = log.clone().into_os_string();
        rotated.push(".1");
        for file in [
            self.inventory(),
            self.overrides(),
            self.deploy_values(),
            self.deploy_config(),
            self.sentinel(),
            log,
            rotated.into(),
        ] {
            absent(fs::remove_file(file).await)?;
        }
        absent(fs::remove_dir_all(self.work()).await)
    }
}

/// The private directory of one run, with its secrets.
#[derive(Clone, Debug)]
pub(super) struct Private {
    directory: PathBuf,
}

impl Private {
    pub(super) fn of(runs: &Path, run_id: Uuid) -> Self {
        Self { directory: runs.join(run_id.to_string()) }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the directory anew (0700).
    pub(super) async fn create(&self) -> io::Result<()> {
        self.remove().await?;
        private_directory(&self.directory).await
    }

    /// Removes it with all it holds.
    pub(super) async fn remove(&self) -> io::Result<()> {
        absent(fs::remove_dir_all(&self.directory).await)
    }
}

/// What is gone needs no removing.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).await
}

/// Writes `value` as YAML.
pub(super) async fn write_yaml(path: &Path, value: &Value) -> io::Result<()> {
    write(path, yaml::document(value).as_bytes()).await
}

/// Replaces a file as a whole (mode 0600, directory 0700 if new): a reader sees the old text or the new one.
pub(super) async fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        private_directory(directory).await?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", Uuid::new_v4()));
    let temporary = PathBuf::from(temporary);
    let written = async {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).await?;
        file.write_all(text).await?;
        file.flush().await?;
        fs::rename(&temporary, path).await
    };
    let outcome = written.await;
    if outcome.is_err() {
        absent(fs::remove_file(&temporary).await)?;
    }
    outcome
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use serde_json::Value;
    use uuid::Uuid;

    use super::super::contents;
    use super::{Paths, Private, write, write_yaml};

    #[test]
    fn jb_023_the_inventory_is_named_after_the_subcloud() {
        let paths = Paths::new(Path::new("/A"), "subcloud1");
        assert_eq!(paths.inventory(), Path::new("/A/subcloud1_inventory.yml"));
    }

    #[tokio::test]
    async fn jb_024_everything_of_a_subcloud_is_removed_and_nothing_of_its_neighbour() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        let (one, other) =
            (Paths::new(directory.path(), "subcloud1"), Paths::new(directory.path(), "subcloud10"));
        for paths in [&one, &other] {
            for file in [
                paths.inventory(),
                paths.overrides(),
                paths.deploy_values(),
                paths.deploy_config(),
                paths.install_values(),
                paths.rvmc_config(),
                crate::playbook::log_path(&logs, paths.name()),
            ] {
                write(&file, b"x").await.unwrap();
            }
        }
        one.remove_all(&logs).await.unwrap();
        one.remove_all(&logs).await.unwrap();
        let left: Vec<String> = std::fs::read_dir(directory.path())
            .unwrap()
            .chain(std::fs::read_dir(&logs).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with("subcloud10") && name != "logs")
            .collect();
        assert_eq!(left, Vec::<String>::new());
        assert!(other.install_values().exists());
    }

    #[tokio::test]
    async fn a_rename_takes_the_files_along_and_leaves_the_neighbours() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path();
        let [one, neighbour, renamed] =
            ["subcloud1", "subcloud10", "edge"].map(|name| Paths::new(directory.path(), name));
        for paths in [&one, &neighbour] {
            write_yaml(&paths.inventory(), &contents::inventory(paths.name(), "10.0.0.1", true))
                .await
                .unwrap();
            write(&paths.overrides(), b"x").await.unwrap();
            write(&paths.install_values(), b"x").await.unwrap();
        }
        one.rename_all(&renamed, logs).await.unwrap();
        one.rename_all(&renamed, logs).await.unwrap();
        let inventory: Value =
            serde_yaml_ng::from_str(&std::fs::read_to_string(renamed.inventory()).unwrap()).unwrap();
        assert_eq!(inventory, contents::inventory("edge", "10.0.0.1", true));
        assert!(renamed.overrides().exists() && renamed.install_values().exists());
        assert!(!one.inventory().exists() && !one.work().exists());
        assert!(neighbour.inventory().exists() && neighbour.install_values().exists());
    }

    #[tokio::test]
    async fn a_private_directory_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let private = Private::of(directory.path(), Uuid::from_u128(1));
        private.create().await.unwrap();
        let file = private.directory().join("a/b");
        write(&file, b"x").await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(private.directory()), mode(&file)), (0o700, 0o600));
        private.remove().await.unwrap();
        private.remove().await.unwrap();
        assert!(!private.directory().exists());
    }
}
