//! The deploy worker: takes deployment runs and carries them out with the real `ansible-playbook` (design §8,
//! jobs.md §0.4–0.6, §1.2–1.4).
//!
//! A run is offered by a hint on the bus and, since hints may be lost, by the read model's list of open runs; that a
//! process was restarted is therefore nothing special. The worker takes the run's lease, claims the run by a command,
//! and carries out phase after phase as the aggregate says, so that it needs no memory of its own. It stops, and
//! reports nothing more, as soon as its lease is lost; [`RunTimeouts`] ends the runs of workers that are gone, and
//! belongs into every process that could be left alone without a worker (the relay's or the projector's).
//!
//! Secrets leave the vault only into a run's private directory (0700), which is removed before the phase's result is
//! reported; what is kept in the ansible directory is without them.

mod ansible;
mod cleanup;
mod command_line;
mod contents;
mod crew;
mod figures;
mod files;
mod kept;
mod materials;
mod ownership;
mod phase;
mod ports;
mod reporter;
mod settings;
mod timeouts;
mod work;
mod worker;
mod yaml;

#[cfg(test)]
pub(crate) use crew::Crew;
pub(crate) use crew::Shared;
#[cfg(test)]
pub(crate) use ownership::lease_name;
#[cfg(test)]
pub(crate) use phase::{PhaseWork, Stopped};
#[cfg(test)]
pub(crate) use ports::{Ending, Hands, OpenRuns, Play, Processes};
#[cfg(test)]
pub(crate) use reporter::meta;
pub use settings::{ControllerFacts, Dirs, Settings, Timeouts};
pub use timeouts::RunTimeouts;
pub use worker::{Context, DeployWorker};
