//! Keystone's database and keys, made once for all tests.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use serde_json::json;

use super::{Keystone, USERS, database};
use crate::tools::repository;
use crate::workdir::WorkDir;

/// Where it is kept, below `.tools/`. What is made here has changed when the number has.
const SITE: &str = "keystone-site-1";
const KEYS: [&str; 2] = ["fernet-keys", "credential-keys"];

/// The folder with the database and the keys; made now if no test has made it before. Takes half a minute then.
pub(super) async fn site(python: &Path) -> PathBuf {
    let tools = repository().join(".tools");
    fs::create_dir_all(&tools).expect("make the folder for tools");
    let (site, python) = (tools.join(SITE), python.to_owned());
    let lock = fs::File::create(tools.join(format!("{SITE}.lock"))).expect("make a lock file");
    // Other test processes wait here, and this one's other tests with them.
    let lock = tokio::task::spawn_blocking(move || Flock::lock(lock, FlockArg::LockExclusive));
    let _lock = lock.await.expect("the lock's thread ends").map_err(|(_, error)| error).expect("lock");
    if !site.is_dir() {
        let dir = WorkDir::new("keystone-site");
        create(&python, dir.path());
        let made = populate(dir, python).await;
        let unfinished = tools.join(format!("{SITE}.new"));
        let _ = fs::remove_dir_all(&unfinished);
        copy(made.path(), &unfinished);
        fs::rename(&unfinished, &site).expect("put the prepared Keystone in its place");
    }
    site
}

/// Copies database and keys.
pub(super) fn copy(from: &Path, to: &Path) {
    for keys in KEYS {
        private_folder(&to.join(keys));
        for key in fs::read_dir(from.join(keys)).expect("read the keys").flatten() {
            copy_file(&key.path(), &to.join(keys).join(key.file_name()));
        }
    }
    copy_file(&database(from), &database(to));
}

fn copy_file(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|e| panic!("copy {}: {e}", from.display()));
    fs::set_permissions(to, fs::Permissions::from_mode(0o600)).expect("set permissions");
}

fn private_folder(path: &Path) {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).expect("make a folder");
}

/// Writes the configuration of a server in `dir`.
pub(super) fn configure(dir: &Path, token_life: Duration) {
    let at = dir.display();
    let text = format!(
        "[DEFAULT]\nuse_stderr = true\n[database]\nconnection = sqlite:///{at}/keystone.db\n\
         [token]\nprovider = fernet\nexpiration = {}\n[fernet_tokens]\nkey_repository = {at}/fernet-keys\n\
         [credential]\nkey_repository = {at}/credential-keys\n[cache]\nenabled = false\n\
         [oslo_messaging_notifications]\ndriver = noop\n[identity]\npassword_hash_rounds = 4\n",
        token_life.as_secs()
    );
    fs::write(dir.join("keystone.conf"), text).expect("write Keystone's configuration");
}

/// Variables that Keystone's programs in `dir` need.
pub(super) fn environment(dir: &Path) -> Vec<(OsString, OsString)> {
    vec![
        ("OS_KEYSTONE_CONFIG_FILES".into(), dir.join("keystone.conf").into_os_string()),
        ("PYTHONWARNINGS".into(), "ignore".into()),
    ]
}

/// Makes the tables, the keys, and the first user.
fn create(python: &Path, dir: &Path) {
    configure(dir, Duration::from_secs(3600));
    KEYS.iter().for_each(|keys| private_folder(&dir.join(keys)));
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().expect("who this is");
    let group =
        nix::unistd::Group::from_gid(nix::unistd::getegid()).ok().flatten().expect("whose group this is");
    let owner = ["--keystone-user", &user.name, "--keystone-group", &group.name];
    manage(python, dir, &["db_sync"]);
    manage(python, dir, &[&["fernet_setup"], owner.as_slice()].concat());
    manage(python, dir, &[&["credential_setup"], owner.as_slice()].concat());
    let password = Keystone::password("admin");
    let anywhere = "http://127.0.0.1/v3";
    manage(
        python,
        dir,
        &[
            "bootstrap",
            "--bootstrap-username=admin",
            &format!("--bootstrap-password={password}"),
            "--bootstrap-project-name=admin",
            "--bootstrap-role-name=admin",
            "--bootstrap-service-name=keystone",
            "--bootstrap-region-id=RegionOne",
            &format!("--bootstrap-admin-url={anywhere}"),
            &format!("--bootstrap-public-url={anywhere}"),
            &format!("--bootstrap-internal-url={anywhere}"),
        ],
    );
}

fn manage(python: &Path, dir: &Path, args: &[&str]) {
    let mut command = Command::new(python.with_file_name("keystone-manage"));
    command.arg("--config-file").arg(dir.join("keystone.conf")).args(args);
    let done = command.envs(environment(dir)).current_dir(dir).stdin(Stdio::null()).output();
    let done = done.expect("run keystone-manage");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "keystone-manage {}: {}\n{said}", args[0], done.status);
}

/// Makes projects and users through the server's own API; gives the folder back when the server has ended.
async fn populate(dir: WorkDir, python: PathBuf) -> WorkDir {
    let mut keystone = Keystone::launch_on_a_free_port(dir, python, Duration::from_secs(3600)).await;
    let token = keystone.token("admin").await;
    let id = |value: &serde_json::Value| value["id"].as_str().expect("an id").to_owned();
    let roles = keystone.order(&token, "GET", "/v3/roles", None).await;
    let role = |name: &str| {
        let roles = roles["roles"].as_array().expect("roles");
        id(roles.iter().find(|role| role["name"] == name).unwrap_or_else(|| panic!("no role {name}")))
    };
    let mut projects = vec![];
    for project in ["services", "demo"] {
        let body = json!({"project": {"name": project, "domain_id": "default"}});
        let made = keystone.order(&token, "POST", "/v3/projects", Some(body)).await;
        projects.push((project, id(&made["project"])));
    }
    let known = keystone.order(&token, "GET", "/v3/projects?name=admin", None).await;
    projects.push(("admin", id(&known["projects"][0])));
    for (user, role_name, project) in USERS.iter().filter(|(user, ..)| *user != "admin") {
        let password = Keystone::password(user);
        let body = json!({"user": {"name": user, "domain_id": "default", "password": password}});
        let made = keystone.order(&token, "POST", "/v3/users", Some(body)).await;
        let Some((_, project)) = projects.iter().find(|(name, _)| Some(*name) == *project) else { continue };
        let path = format!("/v3/projects/{project}/users/{}/roles/{}", id(&made["user"]), role(role_name));
        keystone.order(&token, "PUT", &path, None).await;
    }
    keystone.kill();
    keystone.dir
}
