//! `dcm`: the one binary. Reads the configuration, builds the adapters, starts roles; and the operator's commands.

mod commands;
mod config;
mod import;
mod serve;
mod signals;
mod telemetry;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use commands::{
    bus, doctor, events, history, import as take_over, journal, policy, projections, show, vault,
};
use dcm_workers::playbook::supervisor::{self, SupervisorArgs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The DC Manager API, event-sourced.
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server, or some of its roles. Example: `dcm serve --demo 20`
    Serve(config::Flags),
    /// What happened to a subcloud, who did it and when. Example: `dcm history subcloud1`
    History(history::Args),
    /// The state of a subcloud, now or at any moment. Example: `dcm show subcloud1 --as-of 2026-01-01T00:00:00Z`
    Show(show::Args),
    /// Everything that happens. Example: `dcm events --follow`
    Events(events::Args),
    /// Read models: their progress, rebuilding, rolling back. Example: `dcm projections list`
    #[command(subcommand)]
    Projections(projections::Command),
    /// The journal as a whole: checking it, writing it out, filling another. Example: `dcm journal verify`
    #[command(subcommand)]
    Journal(journal::Command),
    /// The bus: whether it says what the journal says, and making it so. Example: `dcm bus verify --last 1000`
    #[command(subcommand)]
    Bus(bus::Command),
    /// The vault's keys: sealing everything with a new one. Example: `dcm vault reseal --vault-key-file vault.key`
    #[command(subcommand)]
    Vault(vault::Command),
    /// Who may do what. Example: `dcm policy check --role reader --project admin`
    #[command(subcommand)]
    Policy(policy::Command),
    /// Take over a running installation. Example: `dcm import dcmanager --from postgres://… --dry-run`
    #[command(subcommand)]
    Import(take_over::Command),
    /// Check every dependency and say what to do.
    Doctor(config::Flags),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run a playbook so that it cannot outlive its worker (used by the worker role).
    #[command(hide = true)]
    ExecPlaybook {
        /// The command line to run, after `--`.
        #[arg(last = true, required = true)]
        argv: Vec<std::ffi::OsString>,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say whether the program could start with this configuration.
    Check(Box<config::Flags>),
    /// Print the JSON Schema of the configuration file.
    Schema,
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // The supervisor is a small process of its own: no runtime, no providers.
    if let Command::ExecPlaybook { argv } = command {
        return supervisor::main(SupervisorArgs { argv });
    }
    // The allocator asks for huge pages, which double what a small server holds; where the kernel knows none, all is well.
    let _ = nix::sys::prctl::set_thp_disable(true);
    // Two providers are compiled in by dependencies; without a choice rustls refuses to choose.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("dcm: the TLS provider is installed already");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("dcm: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(command));
    // A thread that is stuck in a look-up of a name must not keep the process.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        // Such as `dcm events | head`.
        Err(commands::Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("dcm: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, commands::Failure> {
    match command {
        Command::Serve(flags) => serve::run(&flags).await,
        Command::History(args) => history::run(&args).await,
        Command::Show(args) => show::run(&args).await,
        Command::Events(args) => events::run(&args).await,
        Command::Projections(command) => projections::run(&command).await,
        Command::Journal(command) => journal::run(&command).await,
        Command::Bus(command) => bus::run(&command).await,
        Command::Vault(command) => vault::run(&command).await,
        Command::Policy(command) => policy::run(&command).await,
        Command::Import(command) => take_over::run(&command).await,
        Command::Doctor(flags) => doctor::run(&flags).await,
        Command::Config(ConfigCommand::Check(flags)) => commands::config::check(&flags),
        Command::Config(ConfigCommand::Schema) => commands::config::schema(),
        Command::ExecPlaybook { .. } => Ok(ExitCode::FAILURE),
    }
}
