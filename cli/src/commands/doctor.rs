//! `dcm doctor`: checks every dependency and says what to do.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dcm_api::transport::Authentication;
use dcm_journal::{lease::Leases, store, vault};

use super::{Failure, jetstream, line};
use crate::config::{Auth, Config, Flags, Paths, Role, environment, load};
use crate::serve::{authentication, bus, lock};

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Whether a listener that closes leaves connections that are being made to the others at its address: `1` if it does.
const MIGRATION: &str = "/proc/sys/net/ipv4/tcp_migrate_req";

/// Checks everything the configuration names; exits with 1 and names what is down.
pub async fn run(flags: &Flags) -> Result<ExitCode, Failure> {
    let config = load(flags, environment())?;
    let mut down = Vec::new();
    for finding in config.check() {
        report(&mut down, "configuration", Err(finding.to_string()))?;
    }
    if config.is_embedded() && lock::is_held(&config.data_dir) {
        line(format_args!("ok    data directory: in use by a running dcm; ask its /readyz"))?;
    } else {
        stores(&config, &mut down).await?;
    }
    let on_the_bus = in_time(async {
        let bus = bus::connect(&config).await.map_err(|error| error.to_string())?;
        bus.server().await.map_err(|error| error.to_string())
    });
    let on_the_bus = on_the_bus.await;
    let advice = on_the_bus.as_ref().ok().and_then(|server| jetstream::advice(server, &config.jetstream));
    report(&mut down, "bus", on_the_bus.map(drop))?;
    if let Some(advice) = advice {
        line(format_args!("note  bus: {advice}"))?;
    }
    if config.http.reuse_port
        && config.has(Role::Api)
        && let Some(advice) = sharing_advice(std::fs::read_to_string(MIGRATION).ok().as_deref())
    {
        line(format_args!("note  http.reuse_port: {advice}"))?;
    }
    if config.auth == Auth::Keystone
        && config.has(Role::Api)
        && let Ok(Authentication::Keystone(keystone)) = authentication::of(&config)
    {
        report(&mut down, "keystone", in_time(keystone.check()).await)?;
    }
    if config.has(Role::Worker) {
        report(&mut down, "ansible-playbook", program(&config.deploy.ansible_playbook))?;
        directories(&config.paths(), &mut down)?;
    }
    match down.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => {
            line(format_args!("down: {}", down.join(", ")))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn stores(config: &Config, down: &mut Vec<&'static str>) -> Result<(), Failure> {
    let journal = in_time(store::open(&config.journal, &config.data_dir)).await;
    let id = journal.as_ref().ok().map(|journal| journal.id());
    report(down, "journal", journal.map(drop))?;
    let vault = vault::open(config.vault_url(), &config.data_dir, config.vault_key_file.as_deref());
    report(down, "vault", in_time(vault).await.map(drop))?;
    if let Some(id) = id {
        let models = dcm_projections::ReadModels::open(&config.read_model, &config.data_dir, id);
        report(down, "read models", in_time(models).await.map(drop))?;
    }
    report(down, "leases", in_time(Leases::open(&config.read_model, &config.data_dir)).await.map(drop))
}

/// What a check found, or that it found nothing in time: a host that does not even refuse must not hold up the rest.
async fn in_time<T, E: std::fmt::Display>(check: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, check).await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn directories(paths: &Paths, down: &mut Vec<&'static str>) -> Result<(), Failure> {
    for (name, path) in
        [("dirs.ansible", &paths.ansible), ("dirs.logs", &paths.logs), ("dirs.runs", &paths.runs)]
    {
        let made = std::fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()));
        report(down, name, made)?;
    }
    let playbooks = match paths.playbooks.is_dir() {
        true => Ok(()),
        false => {
            Err(format!("{} is missing: deployments end in their preparation", paths.playbooks.display()))
        }
    };
    report(down, "dirs.playbooks", playbooks)
}

/// What an operator should know who replaces processes at one address, where the kernel says `migration`; `None` if there is
/// nothing to say.
fn sharing_advice(migration: Option<&str>) -> Option<&'static str> {
    match migration.map(str::trim) {
        Some("1") => None,
        Some(_) => Some(
            "connections that are being made when a process ends are reset; \
             `sysctl net.ipv4.tcp_migrate_req=1` leaves them to the other processes",
        ),
        None => Some(
            "connections that are being made when a process ends are reset, and this kernel cannot leave them \
             to the other processes (Linux 5.14 can): let a proxy ask /readyz instead",
        ),
    }
}

/// Whether the program is where it is said to be, or in `PATH`.
fn program(name: &Path) -> Result<(), String> {
    let found = match name.components().count() {
        1 => std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(name).is_file())),
        _ => name.is_file(),
    };
    match found {
        true => Ok(()),
        false => {
            Err(format!("{} is not installed: see the README for the line that installs it", name.display()))
        }
    }
}

fn report(
    down: &mut Vec<&'static str>,
    what: &'static str,
    found: Result<(), String>,
) -> Result<(), Failure> {
    match found {
        Ok(()) => line(format_args!("ok    {what}"))?,
        Err(problem) => {
            line(format_args!("down  {what}: {problem}"))?;
            down.push(what);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::sharing_advice;

    #[test]
    fn who_shares_an_address_is_told_what_the_kernel_does() {
        assert_eq!(sharing_advice(Some("1\n")), None);
        assert!(sharing_advice(Some("0\n")).is_some_and(|said| said.contains("net.ipv4.tcp_migrate_req=1")));
        assert!(sharing_advice(None).is_some_and(|said| said.contains("proxy")));
    }
}
