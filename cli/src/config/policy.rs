//! Where policies come from (access.md §7).

use std::path::{Path, PathBuf};

use dcm_api::policy::{self, SourceError, Sources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, Profile};

/// Name of the policy file where none is configured.
const FILE: &str = "policy.yaml";
/// Where the old system has it.
const STARLINGX_DIR: &str = "/etc/dcmanager";

/// Who may do what. Without any file the built-in rules hold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The policy file, YAML or JSON; without the key, `policy.yaml` in the data directory, or in `/etc/dcmanager` with
    /// the profile `starlingx`. It need not be there. An edit holds for every request that comes 20 ms after it or
    /// later.
    pub file: Option<PathBuf>,
    /// Directories of more files, each beside the policy file unless it is absolute. Their plain files are read in the
    /// order of their names, over the policy file.
    pub dirs: Vec<PathBuf>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { file: None, dirs: vec![PathBuf::from("policy.d")] }
    }
}

impl Config {
    /// Where policies are looked for.
    pub fn policy_sources(&self) -> Sources {
        let dir = match self.profile {
            Profile::Local => &self.data_dir,
            Profile::Starlingx => Path::new(STARLINGX_DIR),
        };
        let file = self.policy.file.clone().unwrap_or_else(|| dir.join(FILE));
        // Directories beside a file need to know where that is, whatever its name says.
        let file = std::path::absolute(&file).unwrap_or(file);
        Sources { files: vec![file], dirs: self.policy.dirs.clone() }
    }

    /// The policy. Reads files.
    ///
    /// # Errors
    /// [`SourceError`] if a file is there and cannot be used.
    pub fn open_policy(&self) -> Result<policy::Policy, SourceError> {
        policy::Policy::open(self.policy_sources())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_says_where_the_file_is() {
        let file = |config: &Config| config.policy_sources().files;
        let local = Config { data_dir: PathBuf::from("/data"), ..Config::default() };
        assert_eq!(file(&local), [PathBuf::from("/data/policy.yaml")]);
        let starlingx = Config { profile: Profile::Starlingx, ..local };
        assert_eq!(file(&starlingx), [PathBuf::from("/etc/dcmanager/policy.yaml")]);
        let given = Policy { file: Some(PathBuf::from("/x/p.json")), ..Policy::default() };
        let given = Config { policy: given, ..starlingx };
        assert_eq!(file(&given), [PathBuf::from("/x/p.json")]);
        assert_eq!(given.policy_sources().dirs, [PathBuf::from("policy.d")]);
    }
}
