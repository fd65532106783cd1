//! The whole environment of a playbook: a short allow-list, so that nothing the worker was started with leaks into it.

use std::ffi::OsString;
use std::path::Path;

use super::processes::MARKER_VARIABLE;

/// Taken over from the worker's own environment when set there.
const INHERITED: [&str; 2] = ["PATH", "VIRTUAL_ENV"];
/// Ansible refuses to run in a locale that is not UTF-8.
const FALLBACK_LANG: &str = "C.UTF-8";

/// Where ansible puts module files, arguments included, on the machine it connects to. Its own default names the
/// user's home as the password file has it; this one follows `HOME`, which for a local connection is private.
const REMOTE_TEMP: &str = "$HOME/.ansible/tmp";

/// Builds the environment from `worker` (how the worker's own variables are looked up), the configured `ansible`
/// variables, the run's private directory and its marker. What this function sets itself wins over `ansible`.
///
/// Home and temporary directories are in the private directory: ansible writes module arguments, passwords among
/// them, to files there, and what a killed playbook leaves behind must be removed with the run.
pub(super) fn build(
    worker: impl Fn(&str) -> Option<OsString>,
    ansible: &[(String, String)],
    private_dir: &Path,
    marker: &str,
) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> =
        INHERITED.iter().filter_map(|name| Some((OsString::from(name), worker(name)?))).collect();
    variables.push(("LANG".into(), lang(worker("LANG"))));
    variables.push(("ANSIBLE_REMOTE_TEMP".into(), REMOTE_TEMP.into()));
    if let Some(home) = worker("HOME") {
        // Collections and connection sockets stay where the operator put them.
        variables.push(("ANSIBLE_HOME".into(), Path::new(&home).join(".ansible").into()));
    }
    variables.extend(ansible.iter().map(|(name, value)| (name.into(), value.into())));
    variables.extend([
        ("HOME".into(), private_dir.into()),
        ("TMPDIR".into(), private_dir.into()),
        ("ANSIBLE_LOCAL_TEMP".into(), private_dir.join("ansible-tmp").into()),
        ("ANSIBLE_LOG_PATH".into(), "/dev/null".into()),
        ("ANSIBLE_NOCOLOR".into(), "1".into()),
        (MARKER_VARIABLE.into(), marker.into()),
    ]);
    variables
}

fn lang(worker: Option<OsString>) -> OsString {
    worker
        .filter(|lang| {
            let lang = lang.to_string_lossy().to_ascii_lowercase();
            lang.ends_with(".utf-8") || lang.ends_with(".utf8")
        })
        .unwrap_or_else(|| FALLBACK_LANG.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::path::Path;

    use super::build;

    #[test]
    fn holds_the_allow_list_and_nothing_else() {
        let worker = |name: &str| -> Option<OsString> {
            match name {
                "PATH" => Some("/bin".into()),
                "HOME" => Some("/home/operator".into()),
                "LANG" => Some("POSIX".into()),
                "DCM_VAULT_KEY" => Some("never".into()),
                _ => None,
            }
        };
        let ansible = [
            ("ANSIBLE_TIMEOUT".to_owned(), "30".to_owned()),
            ("ANSIBLE_LOG_PATH".to_owned(), "/tmp/x".to_owned()),
        ];
        // As with a command's environment, the last value of a name counts.
        let built: BTreeMap<String, String> = build(worker, &ansible, Path::new("/run/7"), "m")
            .into_iter()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        let expected = [
            ("ANSIBLE_HOME", "/home/operator/.ansible"),
            ("ANSIBLE_LOCAL_TEMP", "/run/7/ansible-tmp"),
            ("ANSIBLE_LOG_PATH", "/dev/null"),
            ("ANSIBLE_NOCOLOR", "1"),
            ("ANSIBLE_REMOTE_TEMP", "$HOME/.ansible/tmp"),
            ("ANSIBLE_TIMEOUT", "30"),
            ("DCM_PLAYBOOK_RUN", "m"),
            ("HOME", "/run/7"),
            ("LANG", "C.UTF-8"),
            ("PATH", "/bin"),
            ("TMPDIR", "/run/7"),
        ];
        assert_eq!(built, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
