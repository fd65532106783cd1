//! Disks that are full for a while: commands are answered with 503, nothing that was acknowledged is lost, and work goes
//! on by itself once there is room again. A bus that is full holds nobody up, and gets what it missed.
//!
//! A small file system is the real thing, where the tests may mount one. Files that cannot grow are tested everywhere.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use async_nats::jetstream;
use dcm_projections::ReadModels;
use dcm_tests::ledger::embedded;
use dcm_tests::load::{Account, Addresses, Load};
use dcm_tests::{
    Dcm, Ledger, Nats, Postgres, Serve, Split, WorkDir, eventually, limit_files, on_the_example_site,
};
use nix::unistd::User;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::scene::{
    CLIENTS, Part, TAKE_OVER, acknowledges_more, comes_to_rest, fleet_of, none_has_ended, parts_with, proofs,
    reaches_the_bus, settings, the_bus_holds_the_journal,
};
use crate::{ALONE, commands, seed};

/// How often the disk is full.
const ROUNDS: usize = 2;
/// What a disk that can be filled up in no time has room for.
const MOST: usize = 10_000;
/// Commands that fit into a mebibyte several times over.
const PER_MEBIBYTE: usize = 50;
/// Bytes of one page of SQLite.
const PAGE: u64 = 4096;
/// Bytes of one page of PostgreSQL.
const BLOCK: u64 = 8192;
/// Bytes of one file of its write-ahead log, if those are small.
const SEGMENT: u64 = 1 << 20;
/// Mebibytes that the relay promises to the advisories of the bus.
const ADVISORIES: usize = 64;

/// Something that can be full for a while.
trait Room {
    /// Takes all the room that is left.
    async fn fill(&self);
    /// Gives the room back.
    async fn empty(&self);
}

/// A file system of its own that can be filled up.
struct SmallDisk {
    dir: WorkDir,
}

impl SmallDisk {
    /// Mounts one; `None`, said aloud, where the tests have no right to mount.
    fn new(mebibytes: usize) -> Option<Self> {
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
        println!("NOT TESTED: a full file system; {}", String::from_utf8_lossy(&mounted.stderr));
        None
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Room for SmallDisk {
    async fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.ballast()).unwrap();
        let page = [0_u8; 4096];
        while file.write_all(&page).is_ok() {}
    }

    async fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still has a file open there keeps it until it ends.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// The files of one process, of which none can be written beyond a size.
struct Files {
    pid: u32,
    bytes: u64,
}

impl Room for Files {
    async fn fill(&self) {
        limit_files(self.pid, Some(self.bytes));
    }

    async fn empty(&self) {
        limit_files(self.pid, None);
    }
}

/// The files of a database server, of which none can become larger than the journal's table is, or one of its log.
struct Tables<'a> {
    postgres: &'a Postgres,
    journal: String,
}

impl Room for Tables<'_> {
    async fn fill(&self) {
        let mut connection = PgConnection::connect(&self.journal).await.unwrap();
        let size: i64 = sqlx::query_scalar("select pg_relation_size('journal_event')")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let blocks = u64::try_from(size).unwrap().max(SEGMENT) / BLOCK;
        // The next block can be written to its half, by which PostgreSQL knows a full disk.
        self.postgres.limit_files(Some(blocks * BLOCK + BLOCK / 2));
    }

    async fn empty(&self) {
        self.postgres.limit_files(None);
    }
}

/// How many commands are acknowledged in all.
fn enough() -> usize {
    commands().min(MOST)
}

/// Commands of several clients.
fn load(urls: &[&str], seed: u64) -> Load {
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    Load::start(&Addresses::new(urls), &fleet_of(CLIENTS), seed)
}

/// Takes all room, again and again, until commands are answered with 503, and gives it back; commands before and after.
async fn is_full_for_a_while(room: &impl Room, load: &Load) {
    let portion = enough().div_ceil(2 * ROUNDS);
    acknowledges_more(load, portion).await;
    let before = load.account();
    eventually("commands are answered with 503", TAKE_OVER, async || {
        // What others freed meanwhile is taken too.
        room.fill().await;
        let now = load.account();
        if now.unavailable >= before.unavailable + CLIENTS {
            Ok(())
        } else {
            Err((now.unavailable, now.wrong))
        }
    })
    .await;
    let full = load.account().acknowledged.len();
    println!("  full: {} acknowledged before, {full} by now", before.acknowledged.len());
    room.empty().await;
    acknowledges_more(load, portion).await;
}

/// What was answered to thousands of commands while the disk was full again and again.
async fn account_of(room: &impl Room, load: Load) -> Account {
    for _ in 0..ROUNDS {
        is_full_for_a_while(room, &load).await;
    }
    finish(load).await
}

async fn finish(load: Load) -> Account {
    let account = load.finish().await;
    println!(
        "{} acknowledged, {} refused, {} unknown, {} of them with 503",
        account.acknowledged.len(),
        account.refused.len(),
        account.unknown.len(),
        account.unavailable
    );
    assert!(account.acknowledged.len() >= enough(), "too few commands");
    account
}

/// How to start the one process with its files below `data`.
fn one_process(data: &Path) -> Serve {
    let serve = settings(on_the_example_site(Dcm::serve())).data_dir(data);
    serve.flag("--demo", CLIENTS.to_string())
}

/// The one process lives, and all that it stored agrees.
async fn one_process_is_whole(mut dcm: Dcm, data: &Path, account: &Account) {
    let (_, models) = comes_to_rest(&embedded(data), "embedded:", data).await;
    drop(models);
    dcm_tests::run_dcm(["projections", "verify", "--json", "--url", dcm.url()]).await.ok();
    assert_eq!(dcm.exited(), None, "{}", dcm.logs());
    assert!(dcm.terminate().await.success(), "{}", dcm.logs());
    let ledger = Ledger::read(&embedded(data)).await;
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    let models = ReadModels::open("embedded:", data, ledger.journal).await.unwrap();
    ledger.compare_rows(&models).await;
}

/// The processes of a split service live, and all that they stored agrees.
async fn split_is_whole(split: &Split, mut parts: Vec<Part>, account: &Account) {
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    ledger.compare_rows(&models).await;
    the_bus_holds_the_journal(&split.stores.nats.url(), &ledger).await;
    proofs(split, &parts[0].dcm).await;
}

const PARTS: [(&str, &str); 4] =
    [("api-a", "api"), ("api-b", "api"), ("relay-1", "relay"), ("projector", "projector")];

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_one_process_that_cannot_grow_are_answered_with_503_and_lose_nothing() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    let dir = WorkDir::new("limited");
    let data = dir.path().join("data");
    let dcm = one_process(&data).limited().start().await;
    // Less than its write-ahead log has before it is written from the start again.
    let bytes = PAGE * StdRng::seed_from_u64(seed).random_range(16..256_u64);
    println!("  no file can be written beyond {bytes} bytes");
    let files = Files { pid: dcm.pid(), bytes };
    let account = account_of(&files, load(&[dcm.url()], seed)).await;
    one_process_is_whole(dcm, &data, &account).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_journals_database_that_cannot_grow_are_answered_with_503_and_lose_nothing() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    let postgres = Postgres::start_in_small_files().await;
    let split = Split::on(&postgres).await;
    let parts = parts_with(&split, &PARTS, CLIENTS, settings).await;
    let tables = Tables { postgres: &postgres, journal: split.journal() };
    let account = account_of(&tables, load(&[parts[0].dcm.url(), parts[1].dcm.url()], seed)).await;
    split_is_whole(&split, parts, &account).await;
}

/// Lets every stream grow without promising it room, but for the one whose size cannot be set.
fn without_promises(serve: Serve) -> Serve {
    let streams = ["events", "notify", "jobs", "dead"];
    let set = |serve: Serve, stream: &str| serve.flag("--set", format!("jetstream.{stream}.max_bytes=0"));
    streams.into_iter().fold(settings(serve), set)
}

/// How many events the bus was ever given.
async fn events_on(bus: &str) -> u64 {
    let context = jetstream::new(async_nats::connect(bus).await.unwrap());
    context.get_stream("DCM_EVENTS").await.unwrap().cached_info().state.last_sequence
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_is_full_holds_no_command_up_and_gets_what_it_missed() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    let mut split = Split::on(Postgres::shared().await).await;
    split.stores.nats = Nats::with_room(ADVISORIES + 8 + enough() / PER_MEBIBYTE).await;
    let parts = parts_with(&split, &PARTS, CLIENTS, without_promises).await;
    let load = load(&[parts[0].dcm.url(), parts[1].dcm.url()], seed);
    let (nats, bus) = (&split.stores.nats, split.stores.nats.url());
    let portion = enough().div_ceil(2 * ROUNDS);
    for _ in 0..ROUNDS {
        acknowledges_more(&load, portion).await;
        nats.fill().await;
        let full = events_on(&bus).await;
        println!("  full: {full} events");
        acknowledges_more(&load, portion).await;
        assert_eq!(events_on(&bus).await, full, "the bus took events without room for them");
        nats.empty().await;
        reaches_the_bus(&bus, &load, 10).await;
    }
    let account = finish(load).await;
    assert_eq!(account.unavailable, 0, "a command was not answered for want of the bus");
    let told = parts[2].dcm.logs();
    assert!(told.contains("insufficient resources"), "the relay does not say why it waits:\n{told}");
    split_is_whole(&split, parts, &account).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_one_process_is_answered_with_503_and_loses_nothing() {
    let _alone = ALONE.lock().await;
    let Some(disk) = SmallDisk::new(64 + enough() / PER_MEBIBYTE) else { return };
    let seed = seed();
    let data = disk.path().join("data");
    let dcm = one_process(&data).start().await;
    let account = account_of(&disk, load(&[dcm.url()], seed)).await;
    one_process_is_whole(dcm, &data, &account).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_journals_database_is_answered_with_503_and_loses_nothing() {
    let _alone = ALONE.lock().await;
    let Some(disk) = SmallDisk::new(48 + enough() / PER_MEBIBYTE) else { return };
    let seed = seed();
    let postgres = Postgres::start().await;
    let split = Split::on(&postgres).await;
    keep_the_journal_on(&disk, &postgres, &split).await;
    let parts = parts_with(&split, &PARTS, CLIENTS, settings).await;
    let account = account_of(&disk, load(&[parts[0].dcm.url(), parts[1].dcm.url()], seed)).await;
    split_is_whole(&split, parts, &account).await;
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
