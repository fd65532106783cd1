//! The files that the old service kept beside its database (subclouds.md §2.4). What cannot be read is told and left out.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use dcm_api::transport::yaml_mapping;
use dcm_domain::validate::Map;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Longest file.
const MOST_BYTES: u64 = 1024 * 1024;

/// The directory with the files of every subcloud.
#[derive(Clone, Debug)]
pub struct Overrides {
    directory: PathBuf,
}

/// The files of one subcloud. They are secret as a whole.
#[derive(Default)]
pub struct Files {
    /// `<name>.yml`.
    pub bootstrap: Option<Map>,
    /// `<name>/install_values.yml`.
    pub install_values: Option<Map>,
    /// `<name>_deploy_config.yml`.
    pub deploy_config: Option<String>,
    /// `<name>_inventory.yml`.
    pub inventory: Option<Inventory>,
    /// Digest of every file that was read; `None` if there was none.
    pub digest: Option<[u8; 32]>,
    /// What could not be used.
    pub problems: Vec<String>,
}

/// What an inventory says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Whether it is the first deployment (subclouds.md V12): false if the flag is missing.
    pub initial_deployment: bool,
    /// Where the subcloud is reached.
    pub address: Option<String>,
}

impl Overrides {
    /// The files in `directory`.
    ///
    /// # Errors
    /// If it is no directory.
    pub fn open(directory: &Path) -> Result<Self, std::io::Error> {
        std::fs::read_dir(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// The files of the subcloud `name`.
    pub fn of(&self, name: &str) -> Files {
        if Path::new(name).components().collect::<Vec<_>>() != [Component::Normal(name.as_ref())] {
            let problems = vec!["its name is no file name: no file is looked for".to_owned()];
            return Files { problems, ..Files::default() };
        }
        let mut reader = Reader { directory: &self.directory, hash: None, problems: Vec::new() };
        let bootstrap = reader.mapping(&format!("{name}.yml"));
        let install_values = reader.mapping(&format!("{name}/install_values.yml"));
        let deploy_config = reader.text(&format!("{name}_deploy_config.yml"));
        let inventory = reader.mapping(&format!("{name}_inventory.yml"));
        let inventory = inventory.map(|inventory| Inventory::of(&inventory, name));
        let Reader { hash, problems, .. } = reader;
        let digest = hash.map(|hash| hash.finalize().into());
        Files { bootstrap, install_values, deploy_config, inventory, digest, problems }
    }
}

/// Reads the files of one subcloud.
struct Reader<'a> {
    directory: &'a Path,
    /// Names and contents of those that were read.
    hash: Option<Sha256>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn mapping(&mut self, file: &str) -> Option<Map> {
        let text = self.text(file)?;
        yaml_mapping(text.as_bytes()).map_err(|problem| self.problems.push(format!("{file}: {problem}"))).ok()
    }

    fn text(&mut self, file: &str) -> Option<String> {
        match read(&self.directory.join(file)) {
            Ok(text) => {
                let hash = self.hash.get_or_insert_default();
                for part in [file, text.as_str()] {
                    hash.update(part.len().to_be_bytes());
                    hash.update(part);
                }
                Some(text)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                self.problems.push(format!("{file}: {error}"));
                None
            }
        }
    }
}

fn read(path: &Path) -> Result<String, std::io::Error> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("is no file"));
    }
    let mut text = String::new();
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    match read as u64 > MOST_BYTES {
        true => Err(std::io::Error::other("is larger than 1 MiB")),
        false => Ok(text),
    }
}

impl Inventory {
    fn of(inventory: &Map, name: &str) -> Self {
        let at =
            |path: &[&str]| path.iter().try_fold(inventory.get("all")?, |value, key| value.get(key)).cloned();
        let address = at(&["hosts", name, "ansible_host"]);
        Self {
            initial_deployment: at(&["vars", "initial_deployment"]) == Some(Value::Bool(true)),
            address: address.and_then(|address| address.as_str().map(str::to_owned)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn with(files: &[(&str, &str)]) -> (tempfile::TempDir, Overrides) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let overrides = Overrides::open(directory.path()).unwrap();
        (directory, overrides)
    }

    #[test]
    fn takes_what_is_there() {
        let (_directory, overrides) = with(&[
            ("edge.yml", "name: edge\nadmin_password: x\n"),
            ("edge/install_values.yml", "image: a.iso\n"),
            ("edge_deploy_config.yml", "anything: {{ at all\n"),
            (
                "edge_inventory.yml",
                "all:\n  vars: {initial_deployment: true}\n  hosts: {edge: {ansible_host: 10.0.0.1}}\n",
            ),
            ("other_inventory.yml", "all: {vars: {}}\n"),
        ]);
        let files = overrides.of("edge");
        assert_eq!(files.bootstrap.unwrap()["name"], "edge");
        assert_eq!(files.install_values.unwrap()["image"], "a.iso");
        assert_eq!(files.deploy_config.as_deref(), Some("anything: {{ at all\n"));
        let inventory = Inventory { initial_deployment: true, address: Some("10.0.0.1".to_owned()) };
        assert_eq!((files.inventory, files.problems.len()), (Some(inventory), 0));
        let other = overrides.of("other");
        assert_eq!(other.inventory, Some(Inventory { initial_deployment: false, address: None }));
        assert!(other.bootstrap.is_none() && other.problems.is_empty());
    }

    #[test]
    fn the_flag_is_a_word_of_yaml_1_1() {
        for (word, expected) in
            [("yes", true), ("True", true), ("on", true), ("no", false), ("False", false), ("~", false)]
        {
            let text = format!("all: {{vars: {{initial_deployment: {word}}}}}");
            let (_directory, overrides) = with(&[("edge_inventory.yml", &text)]);
            assert_eq!(overrides.of("edge").inventory.unwrap().initial_deployment, expected, "{word}");
        }
    }

    #[test]
    fn the_digest_tells_whether_a_file_is_another() {
        let digest = |files: &[(&str, &str)]| {
            let (_directory, overrides) = with(files);
            overrides.of("edge").digest
        };
        let both = digest(&[("edge.yml", "a: 1"), ("edge_deploy_config.yml", "x")]);
        assert!(both.is_some());
        assert_eq!(
            digest(&[("edge.yml", "a: 1"), ("edge_deploy_config.yml", "x"), ("other.yml", "b: 1")]),
            both
        );
        for others in [
            &[("edge.yml", "a: 2"), ("edge_deploy_config.yml", "x")][..],
            &[("edge.yml", "a: ["), ("edge_deploy_config.yml", "x")],
            &[("edge.yml", "a: 1"), ("edge_inventory.yml", "x")],
            &[("edge.yml", "a: 1")],
            &[],
        ] {
            assert_ne!(digest(others), both, "{others:?}");
        }
        assert_eq!(digest(&[("other.yml", "a: 1")]), None);
    }

    #[test]
    fn tells_what_it_cannot_use() {
        let long = "x".repeat(1024 * 1024 + 1);
        let (_directory, overrides) = with(&[
            ("edge.yml", "- a list"),
            ("edge_deploy_config.yml", &long),
            ("edge_inventory.yml/x", ""),
        ]);
        let files = overrides.of("edge");
        assert!(files.bootstrap.is_none() && files.deploy_config.is_none() && files.inventory.is_none());
        assert_eq!(files.problems.len(), 3, "{:?}", files.problems);
        for name in ["..", "../edge", "a/b", "/etc/passwd", "."] {
            assert_eq!(overrides.of(name).problems.len(), 1, "{name}");
        }
        assert!(Overrides::open(Path::new("/nowhere/at/all")).is_err());
    }
}
