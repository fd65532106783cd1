//! A whole service on the example site: one process with everything embedded, or one process per role on PostgreSQL
//! and NATS.

use std::path::{Path, PathBuf};

use crate::ansible::ansible_playbook;
use crate::dcm::{Dcm, Serve};
use crate::deployment::{Stores, Way};
use crate::http::Http;
use crate::postgres::Postgres;
use crate::tools::repository;
use crate::workdir::WorkDir;

/// Adds what every process needs to deploy the example site with the real `ansible-playbook`.
#[must_use]
pub fn on_the_example_site(serve: Serve) -> Serve {
    let site = repository().join("examples/site");
    let set =
        |serve: Serve, key: &str, path: PathBuf| serve.flag("--set", format!("{key}={}", path.display()));
    let serve = set(serve, "deploy.ansible_playbook", ansible_playbook());
    let serve = set(serve, "dirs.playbooks", site.join("playbooks"));
    let serve = set(serve, "dirs.loads", site.join("loads"));
    set(serve, "dirs.deploy", site.join("deploy"))
}

/// The stores that the processes of a split service share, and where each of them keeps its files.
#[derive(Debug)]
pub struct Split {
    dir: WorkDir,
    /// Databases, bus, key file.
    pub stores: Stores,
}

impl Split {
    /// A bus, and three empty databases of `postgres`.
    pub async fn on(postgres: &Postgres) -> Self {
        Self { dir: WorkDir::new("split"), stores: Stores::on(postgres).await }
    }

    /// The same with the journal elsewhere.
    #[must_use]
    pub fn with_journal(self, journal: String) -> Self {
        Self { stores: self.stores.with_journal(journal), ..self }
    }

    /// Directory that holds the files of every process.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// URL of the journal.
    pub fn journal(&self) -> String {
        self.given("--journal")
    }

    /// `postgres://…` of the read models.
    pub fn read_model(&self) -> String {
        self.given("--read-model")
    }

    /// `postgres://…` of the vault.
    pub fn vault(&self) -> String {
        self.given("--vault")
    }

    /// The vault's key file.
    pub fn key_file(&self) -> PathBuf {
        self.given("--vault-key-file").into()
    }

    fn given(&self, flag: &str) -> String {
        let arguments = self.stores.arguments();
        let at = arguments.iter().position(|argument| argument == flag).expect("every store has its flag");
        arguments[at + 1].clone()
    }

    /// How to start a process with `roles` on these stores, with a data directory of its own called `name`.
    pub fn serve(&self, name: &str, roles: &str) -> Serve {
        let serve = on_the_example_site(Dcm::serve()).data_dir(&self.dir().join(name)).roles(roles);
        self.stores.arguments().into_iter().fold(serve, Serve::arg)
    }
}

/// A running service. Dropped, everything of it ends.
#[derive(Debug)]
pub struct Installation {
    /// The process that carries out deployments; the only one if embedded.
    pub worker: Dcm,
    others: Vec<Dcm>,
    /// The stores of a split service.
    pub split: Option<Split>,
    dir: Option<WorkDir>,
}

impl Installation {
    /// Starts a service; `change` sees the flags of each of its processes. A split one uses `postgres`.
    pub async fn start(way: Way, postgres: Option<&Postgres>, change: impl Fn(Serve) -> Serve) -> Self {
        match way {
            Way::Embedded => {
                let dir = WorkDir::new("embedded");
                let serve = on_the_example_site(Dcm::serve()).data_dir(&dir.path().join("data"));
                let worker = change(serve).start().await;
                Self { worker, others: vec![], split: None, dir: Some(dir) }
            }
            Way::Split => {
                let postgres = match postgres {
                    Some(postgres) => postgres,
                    None => Postgres::shared().await,
                };
                let split = Split::on(postgres).await;
                let mut others = Vec::new();
                for (name, roles) in [
                    ("api-a", "api"),
                    ("api-b", "api"),
                    ("relay", "relay"),
                    ("projector", "projector"),
                    ("cert-mon", "cert-mon"),
                ] {
                    others.push(change(split.serve(name, roles)).start().await);
                }
                let worker = change(split.serve("worker", "worker")).start().await;
                Self { worker, others, split: Some(split), dir: None }
            }
        }
    }

    /// A client of the service.
    pub fn http(&self) -> Http {
        self.others.first().unwrap_or(&self.worker).http()
    }

    /// A client of the second API process, if there is one.
    pub fn other_http(&self) -> Http {
        self.others.get(1).unwrap_or(&self.worker).http()
    }

    /// Directory of everything the processes keep in files.
    pub fn dir(&self) -> &Path {
        match (&self.split, &self.dir) {
            (Some(split), _) => split.dir(),
            (None, Some(dir)) => dir.path(),
            (None, None) => unreachable!("a service is embedded or split"),
        }
    }

    /// URL of the journal, for [`crate::Ledger`].
    pub fn journal(&self) -> String {
        match &self.split {
            Some(split) => split.journal(),
            None => crate::ledger::embedded(&self.worker.data_dir()),
        }
    }

    /// What the playbooks of a subcloud printed, as far as it was kept; empty if nothing was.
    pub fn playbook_log(&self, subcloud: &str) -> String {
        let path = self.worker.data_dir().join(format!("log/ansible/{subcloud}_playbook_output.log"));
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Everything the running processes wrote to their outputs.
    pub fn logs(&self) -> String {
        let all = self.others.iter().chain([&self.worker]);
        all.map(|dcm| format!("{}\n{}", dcm.stdout(), dcm.logs())).collect::<Vec<_>>().join("\n")
    }

    /// Ends every process in good order, but the stores of a split service.
    pub async fn terminate(&mut self) {
        for dcm in self.others.iter_mut().chain([&mut self.worker]) {
            let status = dcm.terminate().await;
            assert!(status.success(), "{status}: {}", dcm.logs());
        }
    }
}
