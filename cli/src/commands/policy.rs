//! `dcm policy`: the rules that a server with the same configuration goes by.

use std::process::ExitCode;
use std::sync::Arc;

use dcm_api::policy::{Credentials, Origin, Policy, rule};

use super::{Failure, line};
use crate::config::{Flags, environment, load};

/// What can be asked about the policy.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Every rule: what it says, and which file says so. Example: `dcm policy show --profile starlingx`
    Show {
        /// The server's configuration.
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// What a caller may do; exits with 1 if any of it is denied.
    ///
    /// Example: `dcm policy check --role reader --project admin dc_api:subclouds:get`
    Check {
        /// A role of the caller; may be given several times.
        #[arg(id = "caller_role", long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Name of the caller's project.
        #[arg(long)]
        project: Option<String>,
        /// Rules to ask; without any, every rule of the API.
        rules: Vec<String>,
        /// The server's configuration.
        #[command(flatten)]
        flags: Box<Flags>,
    },
}

/// Shows the policy, or asks it.
///
/// # Errors
/// [`Failure`] if the configuration or a policy file cannot be used, if there is no such rule, or if a remote check gives
/// no answer.
pub async fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Show { flags } => show(&open(flags)?),
        Command::Check { roles, project, rules, flags } => {
            check(&Arc::new(open(flags)?), Credentials { project_name: project.as_deref(), roles }, rules)
                .await
        }
    }
}

fn open(flags: &Flags) -> Result<Policy, Failure> {
    load(flags, environment())?.open_policy().map_err(|error| Failure::start("policy", error))
}

fn show(policy: &Policy) -> Result<ExitCode, Failure> {
    for (name, entry) in policy.rules().entries() {
        let origin = match &entry.origin {
            Origin::Default => "default".to_owned(),
            Origin::File(path) => path.display().to_string(),
        };
        line(format_args!("{name}: {:?}  ({origin})", entry.text))?;
        for remark in &entry.remarks {
            line(format_args!("    warning: {remark}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(
    policy: &Arc<Policy>,
    credentials: Credentials<'_>,
    asked: &[String],
) -> Result<ExitCode, Failure> {
    let every = || rule::ALL.iter().map(|(name, _)| *name).collect();
    let asked: Vec<&str> =
        if asked.is_empty() { every() } else { asked.iter().map(String::as_str).collect() };
    let rules = policy.rules();
    if let Some(unknown) = asked.iter().find(|name| !rules.entries().contains_key(**name)) {
        return Err(Failure::Refused(format!("there is no rule {unknown}; see `dcm policy show`")));
    }
    let mut is_denied = false;
    for name in asked {
        let allowed = policy.decide(name, credentials).await;
        let allowed = allowed.map_err(|error| Failure::start(name, error))?;
        is_denied |= !allowed;
        line(format_args!("{} {name}", if allowed { "allowed" } else { "denied " }))?;
    }
    Ok(if is_denied { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
