//! Running `ansible-playbook` (jobs.md §0.4): under a supervisor that ends it with its worker, with every secret
//! taken out of its output before that reaches a file, and with one result per run.
//!
//! A deploy or backup worker does, in this order: [`Runner::prepare`] (the supervisor is up, nothing runs yet), record
//! [`Prepared::identity`] beside the lease of its run, [`Prepared::run`]. A failure's text comes from [`error_text`].

mod environment;
pub mod error_text;
mod line_ends;
mod output;
mod processes;
mod protocol;
pub mod redact;
mod run;
mod runner;
#[cfg(test)]
mod runner_tests;
#[cfg(test)]
mod site_tests;
mod spellings;
pub mod supervisor;

pub use processes::{ProcessIdentity, group_alive};
pub use redact::{RedactStream, Redactor};
pub use run::{Limits, Outcome, Playbook, Report, RunError, Supervisor, log_path, sentinel_path};
pub use runner::{Prepared, Runner};
