//! What a deploy worker is configured with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::playbook::{Limits, Supervisor};

/// Directories and files a deploy worker reads and writes.
#[derive(Clone, Debug)]
pub struct Dirs {
    /// What the contract keeps (jobs.md §0.5, directory A), and where playbooks may put their abort sentinel.
    pub ansible: PathBuf,
    /// Playbooks of the active release.
    pub playbooks: PathBuf,
    /// Playbooks of other releases, in `<release>/`.
    pub previous_playbooks: PathBuf,
    /// Private directories of active runs, `<run id>/` (0700).
    pub runs: PathBuf,
    /// Logs of playbooks.
    pub logs: PathBuf,
}

impl Dirs {
    /// The same directories from the root on: a playbook reads relative paths from its own directory.
    pub(super) fn absolute(&self) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self {
            ansible: absolute(&self.ansible),
            playbooks: absolute(&self.playbooks),
            previous_playbooks: absolute(&self.previous_playbooks),
            runs: absolute(&self.runs),
            logs: absolute(&self.logs),
        }
    }
}

/// What a subcloud is told about its system controller (jobs.md §0.5, header of the overrides).
#[derive(Clone, Debug, Default)]
pub struct ControllerFacts {
    /// `system_controller_subnet`.
    pub management_subnet: String,
    /// `system_controller_floating_address`.
    pub floating_address: String,
    /// `system_controller_oam_subnet`.
    pub oam_subnet: String,
    /// `system_controller_oam_floating_address`.
    pub oam_floating_address: String,
}

/// What a deploy worker is configured with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `ansible-playbook`, as a path or to be found on `PATH`.
    pub ansible_playbook: PathBuf,
    /// How the supervisor of a playbook is started.
    pub supervisor: Supervisor,
    /// Directories.
    pub dirs: Dirs,
    /// Release whose playbooks are in [`Dirs::playbooks`].
    pub active_release: String,
    /// Facts about the system controller.
    pub controller: ControllerFacts,
    /// Further variables of the playbooks' environment; each name begins with `ANSIBLE_`.
    pub environment: Vec<(String, String)>,
    /// Times of an abort.
    pub limits: Limits,
    /// How long a run's lease lasts; renewed three times as often.
    pub lease_ttl: Duration,
    /// How long after its lease's end a worker on another host is given up.
    pub grace: Duration,
    /// How long a run waits for a worker where there is none.
    pub claim_within: Duration,
    /// How long the playbook of a phase may run.
    pub phase_deadline: Duration,
    /// How often the worker looks for runs, aborts and lost workers.
    pub poll: Duration,
    /// Runs at once.
    pub max_runs: usize,
}

impl Settings {
    /// The defaults of design §8, with this program as supervisor.
    pub fn new(dirs: Dirs, active_release: &str, controller: ControllerFacts) -> Self {
        Self {
            ansible_playbook: "ansible-playbook".into(),
            supervisor: Supervisor::of_this_program(),
            dirs,
            active_release: active_release.to_owned(),
            controller,
            environment: Vec::new(),
            limits: Limits::default(),
            lease_ttl: Duration::from_secs(15),
            grace: Duration::from_secs(30),
            claim_within: Duration::from_secs(60),
            phase_deadline: Duration::from_secs(3600),
            poll: Duration::from_secs(1),
            max_runs: 16,
        }
    }

    /// What the rules for lost and unclaimed runs need.
    pub fn timeouts(&self) -> Timeouts {
        Timeouts {
            lease_ttl: self.lease_ttl,
            grace: self.grace,
            claim_within: self.claim_within,
            poll: self.poll,
        }
    }
}

/// The times of [`RunTimeouts`](super::RunTimeouts); see the fields of [`Settings`].
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// How long a run's lease lasts.
    pub lease_ttl: Duration,
    /// How long after its lease's end a worker on another host is given up.
    pub grace: Duration,
    /// How long a run waits for a worker where there is none.
    pub claim_within: Duration,
    /// How often runs are looked at.
    pub poll: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(15),
            grace: Duration::from_secs(30),
            claim_within: Duration::from_secs(60),
            poll: Duration::from_secs(1),
        }
    }
}
