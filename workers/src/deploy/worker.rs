//! The worker of one process: its crew, which takes runs, and what cleans up behind it.

use std::sync::{Arc, Mutex};

use dcm_journal::bus::Bus;
use dcm_journal::fleet::Fleet;
use dcm_journal::lease::{Holder, HolderError, Leases};
use dcm_journal::vault::Vault;
use dcm_projections::ReadModels;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ansible::Ansible;
use super::cleanup;
use super::crew::{Crew, Shared};
use super::ports::{Kernel, Rows};
use super::settings::Settings;

/// What a deploy worker works with.
pub struct Context {
    /// Where it claims and reports.
    pub fleet: Arc<Fleet>,
    /// Where documents and passwords are.
    pub vault: Arc<dyn Vault>,
    /// Where it holds its runs.
    pub leases: Leases,
    /// Where hints, aborts, deletions and renames are told.
    pub bus: Arc<dyn Bus>,
    /// Where open runs are found.
    pub models: Arc<ReadModels>,
    /// Its configuration.
    pub settings: Settings,
}

/// Takes deployment runs and carries them out with `ansible-playbook` (design §8).
pub struct DeployWorker {
    crew: Crew,
    models: Arc<ReadModels>,
}

impl DeployWorker {
    /// A worker with an id that no other ever has.
    ///
    /// # Errors
    /// [`HolderError`] if this process cannot tell which host it is on.
    pub fn new(context: Context) -> Result<Self, HolderError> {
        let Context { fleet, vault, leases, bus, models, mut settings } = context;
        settings.dirs = settings.dirs.absolute();
        // Two workers of one process are two holders.
        let holder = Holder::this_process(&format!("deploy-worker-{}", Uuid::now_v7().simple()))?;
        let hands = Arc::new(Ansible { vault: Arc::clone(&vault), settings: settings.clone() });
        let runs = Arc::new(Rows(Arc::clone(&models)));
        let processes = Arc::new(Kernel);
        let shared = Shared {
            fleet,
            vault,
            leases,
            bus,
            runs,
            hands,
            processes,
            settings,
            holder,
            aborts: watch::Sender::default(),
            active: Mutex::default(),
        };
        Ok(Self { crew: Crew::new(shared), models })
    }

    /// The name under which it claims runs.
    pub fn id(&self) -> String {
        self.crew.shared().holder.id()
    }

    /// Works until `stop`; then the playbooks that run are ended, their runs end as lost, and this returns.
    pub async fn run(&self, stop: CancellationToken) {
        // If this future is dropped, the runs end too.
        let stop = stop.child_token();
        let _ending = stop.clone().drop_guard();
        let shared = self.crew.shared();
        tokio::join!(
            self.crew.run(&stop),
            cleanup::follow_events(Arc::clone(shared), stop.clone()),
            cleanup::sweep_forever(Arc::clone(shared), Arc::clone(&self.models), stop.clone()),
        );
    }
}
