//! Disks that are full for a while: commands are answered with 503, nothing that was acknowledged is lost, and work goes
//! on by itself once there is room again.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use dcm_projections::ReadModels;
use dcm_tests::ledger::embedded;
use dcm_tests::load::{Addresses, Load};
use dcm_tests::{Dcm, Ledger, Postgres, Split, WorkDir, eventually, on_the_example_site};
use nix::unistd::User;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::scene::{
    FLEET, TAKE_OVER, acknowledges_more, comes_to_rest, fleet, none_has_ended, parts, proofs, settings,
    the_bus_holds_the_journal,
};
use crate::{ALONE, seed};

/// A file system of its own that can be filled up.
struct SmallDisk {
    dir: WorkDir,
}

impl SmallDisk {
    /// Mounts one; `None`, said aloud, where the tests have no right to mount.
    fn new(mebibytes: u32) -> Option<Self> {
        let disk = Self { dir: WorkDir::new("disk") };
        let size = format!("size={mebibytes}m,mode=0755");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(disk.path())
            .output()
            .unwrap();
        if mounted.status.success() {
            return Some(disk);
        }
        println!("NOT TESTED: a full disk; {}", String::from_utf8_lossy(&mounted.stderr));
        None
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.ballast()).unwrap();
        let page = [0_u8; 4096];
        while file.write_all(&page).is_ok() {}
    }

    /// Gives the room back.
    fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still has a file open there keeps it until it ends.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Fills the disk under load until commands are answered with 503, and gives the room back.
async fn is_full_for_a_while(disk: &SmallDisk, load: &Load) {
    acknowledges_more(load, 20).await;
    let before = load.account().unavailable;
    eventually("commands are answered with 503", TAKE_OVER, async || {
        // What others freed meanwhile is taken too.
        disk.fill();
        let now = load.account();
        if now.unavailable >= before + FLEET { Ok(()) } else { Err((now.unavailable, now.wrong)) }
    })
    .await;
    disk.empty();
    acknowledges_more(load, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_one_process_is_answered_with_503_and_loses_nothing() {
    let _alone = ALONE.lock().await;
    let Some(disk) = SmallDisk::new(64) else { return };
    let data = disk.path().join("data");
    let serve = settings(on_the_example_site(Dcm::serve())).data_dir(&data);
    let mut dcm = serve.flag("--demo", FLEET.to_string()).start().await;
    let load = Load::start(&Addresses::new(vec![dcm.url().to_owned()]), &fleet(), seed());
    for _ in 0..2 {
        is_full_for_a_while(&disk, &load).await;
    }
    let account = load.finish().await;
    let (_, models) = comes_to_rest(&embedded(&data), "embedded:", &data).await;
    drop(models);
    dcm_tests::run_dcm(["projections", "verify", "--json", "--url", dcm.url()]).await.ok();
    assert_eq!(dcm.exited(), None, "{}", dcm.logs());
    assert!(dcm.terminate().await.success(), "{}", dcm.logs());
    let ledger = Ledger::read(&embedded(&data)).await;
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    let models = ReadModels::open("embedded:", &data, ledger.journal).await.unwrap();
    ledger.compare_rows(&models).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_journals_database_is_answered_with_503_and_loses_nothing() {
    let _alone = ALONE.lock().await;
    let postgres = Postgres::start().await;
    let split = Split::on(&postgres).await;
    let Some(disk) = SmallDisk::new(48) else { return };
    keep_the_journal_on(&disk, &postgres, &split).await;
    let names = [("api-a", "api"), ("relay-1", "relay"), ("projector", "projector")];
    let mut parts = parts(&split, &names).await;
    let load = Load::start(&Addresses::new(vec![parts[0].dcm.url().to_owned()]), &fleet(), seed());
    for _ in 0..2 {
        is_full_for_a_while(&disk, &load).await;
    }
    let account = load.finish().await;
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    ledger.compare_rows(&models).await;
    the_bus_holds_the_journal(&split.stores.nats.url(), &ledger).await;
    proofs(&split, &parts[0].dcm).await;
}

/// The tables of the journal, which are not there yet, will be on `disk`; the cluster itself is not.
async fn keep_the_journal_on(disk: &SmallDisk, postgres: &Postgres, split: &Split) {
    let place = disk.path().join("journal");
    std::fs::create_dir(&place).unwrap();
    if let Some(user) = User::from_name("postgres").unwrap().filter(|_| nix::unistd::geteuid().is_root()) {
        for dir in [disk.path(), &place] {
            chown(dir, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
    }
    let journal = split.journal();
    let (_, database) = journal.rsplit_once('/').unwrap();
    let mut connection = PgConnection::connect(&postgres.url("postgres")).await.unwrap();
    for statement in [
        format!("create tablespace small location '{}'", place.display()),
        format!("alter database {database} set default_tablespace = 'small'"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
}
