//! The command lines of the deploy playbooks (jobs.md §0.6). None holds a secret.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::files::Paths;

/// `--limit` takes a pattern: a blank would end it, and `?` matches one.
fn limit(name: &str) -> OsString {
    name.replace(' ', "?").into()
}

fn target(paths: &Paths) -> [OsString; 4] {
    ["-i".into(), paths.inventory().into(), "--limit".into(), limit(paths.name())]
}

fn file(path: PathBuf) -> OsString {
    let mut argument = OsString::from("@");
    argument.push(path);
    argument
}

/// Installs `release` with the playbook in `playbooks`.
pub(super) fn install(playbook: &Path, paths: &Paths, release: &str) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec![playbook.into()];
    args.extend(target(paths));
    args.extend(["-e".into(), file(paths.install_values())]);
    args.extend(["-e".into(), format!("install_release_version={release}").into()]);
    args
}

/// Bootstraps `region` with `release`.
pub(super) fn bootstrap(playbook: &Path, paths: &Paths, region: &str, release: &str) -> Vec<OsString> {
    let mut variables = OsString::from("override_files_dir='");
    variables.push(paths.directory());
    variables.push(format!("' region_name={region}"));
    let mut args: Vec<OsString> = vec![playbook.into()];
    args.extend(target(paths));
    args.extend(["-e".into(), variables]);
    args.extend(["-e".into(), format!("install_release_version={release}").into()]);
    args
}

/// Configures with the deployment manager's playbook.
pub(super) fn configure(playbook: &Path, paths: &Paths) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec![playbook.into(), "-e".into(), file(paths.deploy_values())];
    args.extend(target(paths));
    args
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::{Paths, bootstrap, configure, install};

    fn words(args: Vec<OsString>) -> Vec<String> {
        args.into_iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn jb_018_install() {
        let paths = Paths::new(Path::new("/A"), "subcloud1");
        assert_eq!(
            words(install(Path::new("/P/install.yml"), &paths, "24.09")),
            [
                "/P/install.yml",
                "-i",
                "/A/subcloud1_inventory.yml",
                "--limit",
                "subcloud1",
                "-e",
                "@/A/subcloud1/install_values.yml",
                "-e",
                "install_release_version=24.09",
            ]
        );
    }

    #[test]
    fn jb_019_bootstrap_of_a_previous_release() {
        let paths = Paths::new(Path::new("/A"), "subcloud1");
        assert_eq!(
            words(bootstrap(Path::new("/V/22.12/bootstrap.yml"), &paths, "r1", "22.12")),
            [
                "/V/22.12/bootstrap.yml",
                "-i",
                "/A/subcloud1_inventory.yml",
                "--limit",
                "subcloud1",
                "-e",
                "override_files_dir='/A' region_name=r1",
                "-e",
                "install_release_version=22.12",
            ]
        );
    }

    #[test]
    fn jb_020_config() {
        let paths = Paths::new(Path::new("/A"), "sub cloud1");
        assert_eq!(
            words(configure(Path::new("/D/deploy.yaml"), &paths)),
            [
                "/D/deploy.yaml",
                "-e",
                "@/A/sub cloud1_deploy_values.yml",
                "-i",
                "/A/sub cloud1_inventory.yml",
                "--limit",
                "sub?cloud1",
            ]
        );
    }
}
