//! The vault's suite, on both engines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::error::Error as StdError;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use dcm_domain::value::{Secret, SecretRef, Timestamp};
use dcm_journal::vault::{self, KeyFileError, OpenError, References, SweepError, Vault, VaultError, sweep};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use support::postgres::Cluster;
use uuid::Uuid;

/// A vault's store, directory and key file, of one test alone.
struct Place {
    directory: tempfile::TempDir,
    url: String,
    cluster: Option<Arc<Cluster>>,
}

impl Place {
    async fn sqlite() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap(), url: "embedded:".into(), cluster: None };
        place.write_keys(&[("k1", 1)]);
        place
    }

    async fn postgres() -> Self {
        let cluster = Cluster::shared();
        let url = cluster.new_database().await;
        let place = Self { directory: tempfile::tempdir().unwrap(), url, cluster: Some(cluster) };
        place.write_keys(&[("k1", 1)]);
        place
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join("keys")
    }

    fn write_keys(&self, keys: &[(&str, u8)]) {
        let _old = fs::remove_file(self.key_file());
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.key_file()).unwrap();
        for (id, byte) in keys {
            writeln!(file, "{id} {}", STANDARD.encode([*byte; 32])).unwrap();
        }
    }

    async fn try_open(&self) -> Result<Arc<dyn Vault>, OpenError> {
        vault::open(&self.url, self.directory.path(), Some(&self.key_file())).await
    }

    async fn open(&self) -> Arc<dyn Vault> {
        self.try_open().await.unwrap()
    }

    /// Runs `sql` behind the vault's back; returns how many rows it touched.
    async fn execute(&self, sql: &str, bytes: &[u8]) -> u64 {
        let sql = AssertSqlSafe(sql);
        match self.cluster {
            Some(_) => {
                let pool = PgPool::connect(&self.url).await.unwrap();
                sqlx::query(sql).bind(bytes).execute(&pool).await.unwrap().rows_affected()
            }
            None => {
                let pool = SqlitePool::connect(&self.file_url()).await.unwrap();
                sqlx::query(sql).bind(bytes).execute(&pool).await.unwrap().rows_affected()
            }
        }
    }

    async fn sealed(&self, entry: SecretRef) -> Vec<u8> {
        let sql = "select sealed from vault_entry where id = $1";
        match self.cluster {
            Some(_) => {
                let pool = PgPool::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).bind(entry.to_string()).fetch_one(&pool).await.unwrap()
            }
            None => {
                let pool = SqlitePool::connect(&self.file_url()).await.unwrap();
                sqlx::query_scalar(sql).bind(entry.to_string()).fetch_one(&pool).await.unwrap()
            }
        }
    }

    fn file_url(&self) -> String {
        format!("sqlite://{}/vault.db", self.directory.path().display())
    }

    /// The directories that hold everything the store has on disk, brought up to date.
    async fn directories(&self) -> Vec<PathBuf> {
        let mut directories = vec![self.directory.path().to_owned()];
        if let Some(cluster) = &self.cluster {
            let pool = PgPool::connect(&self.url).await.unwrap();
            sqlx::query("checkpoint").execute(&pool).await.unwrap();
            directories.push(cluster.data());
        }
        directories
    }

    /// The files of the store that hold one of `texts`; all of them are read, whatever they are.
    async fn files_with(&self, texts: &[String]) -> String {
        let mut grep = Command::new("grep");
        grep.env("LC_ALL", "C").args(["-rlaF", "--exclude=keys"]);
        for text in texts {
            grep.arg("-e").arg(text);
        }
        // A server removes files while they are listed; what is gone holds nothing.
        let output = grep.arg("-s").args(self.directories().await).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Every byte of an embedded store, write-ahead log and all; nothing for a server, whose vacuum takes its time.
    fn embedded_bytes(&self) -> Vec<u8> {
        let directory = self.directory.path();
        let files =
            ["vault.db", "vault.db-wal"].map(|file| fs::read(directory.join(file)).unwrap_or_default());
        files.concat()
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn far_future() -> Timestamp {
    Timestamp::from_micros(i64::MAX)
}

async fn keeps_a_password_and_a_document(place: Place) {
    let vault = place.open().await;
    let owner = Uuid::new_v4();
    let document = "bootstrap: values ä\n".repeat(150_000);
    let password = vault.put(owner, "sysadmin_password", secret("Li69nux*")).await.unwrap();
    let values = vault.put(owner, "bootstrap_values", secret(&document)).await.unwrap();
    assert_eq!(vault.get(&password, owner).await.unwrap().expose(), "Li69nux*");
    assert!(vault.get(&values, owner).await.unwrap().expose() == document);
    let listed = vault.list(owner).await.unwrap();
    let purposes: Vec<_> = listed.iter().map(|info| (info.entry, info.purpose.as_str())).collect();
    assert_eq!(purposes, [(password, "sysadmin_password"), (values, "bootstrap_values")]);
    assert!(vault.list(Uuid::new_v4()).await.unwrap().is_empty());
    let again = place.open().await;
    assert_eq!(again.get(&password, owner).await.unwrap().expose(), "Li69nux*");
}

async fn refuses_another_owner(place: Place) {
    let vault = place.open().await;
    let (owner, other) = (Uuid::new_v4(), Uuid::new_v4());
    let entry = vault.put(owner, "p", secret("mine")).await.unwrap();
    assert!(matches!(vault.get(&entry, other).await, Err(VaultError::NotFound(_))));
    // Not even whoever can write the table moves an entry to another owner.
    let moved = format!("update vault_entry set owner = '{other}' where length($1) = 0");
    assert_eq!(place.execute(&moved, b"").await, 1);
    assert!(matches!(vault.get(&entry, other).await, Err(VaultError::Altered(_))));
}

async fn notices_an_altered_entry(place: Place) {
    let vault = place.open().await;
    let owner = Uuid::new_v4();
    let entry = vault.put(owner, "p", secret("mine")).await.unwrap();
    let whole = place.sealed(entry).await;
    for index in [0, 12, whole.len() - 1] {
        let mut altered = whole.clone();
        altered[index] ^= 1;
        place.execute("update vault_entry set sealed = $1", &altered).await;
        assert!(matches!(vault.get(&entry, owner).await, Err(VaultError::Altered(_))), "byte {index}");
    }
    place.execute("update vault_entry set sealed = $1", &whole[..4]).await;
    assert!(matches!(vault.get(&entry, owner).await, Err(VaultError::Altered(_))));
    place.execute("update vault_entry set sealed = $1", &whole).await;
    assert_eq!(vault.get(&entry, owner).await.unwrap().expose(), "mine");
}

async fn a_wrong_key_stops_the_start(place: Place) {
    place.open().await;
    place.write_keys(&[("k1", 9)]);
    assert!(
        matches!(place.try_open().await.err(), Some(OpenError::KeyRefused { key_id, .. }) if key_id == "k1")
    );
    place.write_keys(&[("other", 1)]);
    assert!(
        matches!(place.try_open().await.err(), Some(OpenError::KeyMissing { key_id, .. }) if key_id == "k1")
    );
    fs::remove_file(place.key_file()).unwrap();
    assert!(matches!(place.try_open().await.err(), Some(OpenError::KeyFileMissing(_))));
    assert!(!place.key_file().exists(), "no new key for an old vault");
    place.write_keys(&[("k1", 1)]);
    place.open().await;
}

async fn an_exposed_key_file_is_refused(place: Place) {
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(place.key_file(), fs::Permissions::from_mode(mode)).unwrap();
        let error = place.try_open().await.err().unwrap();
        assert!(matches!(error, OpenError::KeyFile(KeyFileError::Exposed { .. })), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}

async fn rotates_its_keys(place: Place) {
    let vault = place.open().await;
    let owner = Uuid::new_v4();
    let old = vault.put(owner, "p", secret("old")).await.unwrap();
    let digest = vault.digest(owner, b"document");
    place.write_keys(&[("k1", 1), ("k2", 2)]);
    let rotated = place.open().await;
    let new = rotated.put(owner, "p", secret("new")).await.unwrap();
    assert_eq!(rotated.get(&old, owner).await.unwrap().expose(), "old");
    assert_eq!(rotated.digest(owner, b"document"), digest, "digests outlive a rotation");
    // A process that was not told of the new key says which one it lacks.
    assert!(
        matches!(vault.get(&new, owner).await, Err(VaultError::WrongKey { key_id, .. }) if key_id == "k2")
    );
    place.write_keys(&[("k2", 2)]);
    assert!(
        matches!(place.try_open().await.err(), Some(OpenError::KeyMissing { key_id, .. }) if key_id == "k1")
    );
    assert_eq!(rotated.reseal().await.unwrap(), 1);
    assert_eq!(rotated.reseal().await.unwrap(), 0);
    let renewed = place.open().await;
    assert_eq!(renewed.get(&old, owner).await.unwrap().expose(), "old");
    assert_eq!(renewed.get(&new, owner).await.unwrap().expose(), "new");
    assert_eq!(renewed.digest(owner, b"document"), digest);
}

async fn a_chosen_id_is_written_once(place: Place) {
    let vault = place.open().await;
    let (id, owner) = (Uuid::new_v4(), Uuid::new_v4());
    let entry = vault.put_as(id, owner, "p", secret("one")).await.unwrap();
    assert_eq!(entry, SecretRef(id));
    assert_eq!(vault.put_as(id, owner, "p", secret("one")).await.unwrap(), entry);
    for (owner, purpose, text) in [(owner, "p", "two"), (owner, "q", "one"), (Uuid::new_v4(), "p", "one")] {
        let again = vault.put_as(id, owner, purpose, secret(text)).await;
        assert!(matches!(again, Err(VaultError::Conflict(_))), "{again:?}");
    }
    assert_eq!(vault.get(&entry, owner).await.unwrap().expose(), "one");
}

async fn a_removed_entry_is_gone(place: Place) {
    let vault = place.open().await;
    let (owner, other) = (Uuid::new_v4(), Uuid::new_v4());
    let first = vault.put(owner, "p", secret("first")).await.unwrap();
    let document = "restore: values\n".repeat(20_000);
    let second = vault.put(owner, "q", secret(&document)).await.unwrap();
    let kept = vault.put(other, "p", secret("kept")).await.unwrap();
    let cipher_texts = [place.sealed(first).await, place.sealed(second).await];
    assert_eq!(contains(&place.embedded_bytes(), &cipher_texts[0]), place.cluster.is_none());
    assert!(vault.delete(&first).await.unwrap());
    assert!(!vault.delete(&first).await.unwrap());
    assert!(matches!(vault.get(&first, owner).await, Err(VaultError::NotFound(_))));
    assert_eq!(vault.delete_owner(owner).await.unwrap(), 1);
    assert_eq!(vault.delete_owner(owner).await.unwrap(), 0);
    assert!(matches!(vault.get(&second, owner).await, Err(VaultError::NotFound(_))));
    assert_eq!(vault.get(&kept, other).await.unwrap().expose(), "kept");
    let bytes = place.embedded_bytes();
    for cipher_text in &cipher_texts {
        let step = (cipher_text.len() / 500).max(1);
        for piece in cipher_text.chunks_exact(16).step_by(step) {
            assert!(!contains(&bytes, piece), "the files still hold the cipher text");
        }
    }
}

async fn leaves_no_trace_of_a_secret(place: Place) {
    let vault = place.open().await;
    let owner = Uuid::new_v4();
    let text = "xT7-Trace-Me-q9Z!";
    let entry = vault.put(owner, "sysadmin_password", secret(text)).await.unwrap();
    let _digest = vault.digest(owner, text.as_bytes());
    let mut forms = vec![text.to_owned(), hex::encode(text), hex::encode_upper(text)];
    for offset in 0..3 {
        let whole = (text.len() - offset) / 3 * 3;
        forms.push(STANDARD_NO_PAD.encode(&text[offset..offset + whole]));
    }
    let visible = place.files_with(&["sysadmin_password".to_owned()]).await;
    assert_ne!(visible, "", "the search must find what is there");
    assert_eq!(place.files_with(&forms).await, "");
    vault.delete(&entry).await.unwrap();
    assert_eq!(place.files_with(&forms).await, "");
}

/// Knows a fixed set of entries, or cannot tell.
struct Known(Option<HashSet<SecretRef>>);

#[async_trait::async_trait]
impl References for Known {
    async fn refers(&self, entry: SecretRef, _: Uuid) -> Result<bool, Box<dyn StdError + Send + Sync>> {
        Ok(self.0.as_ref().ok_or("the journal is away")?.contains(&entry))
    }
}

async fn sweeps_orphans(place: Place) {
    let vault = place.open().await;
    let owner = Uuid::new_v4();
    let mut entries = Vec::new();
    for _ in 0..5 {
        entries.push(vault.put(owner, "p", secret("x")).await.unwrap());
    }
    let long_ago = Timestamp::from_micros(0);
    assert!(vault.entries_older_than(long_ago, None, 10).await.unwrap().is_empty());
    let first = vault.entries_older_than(far_future(), None, 2).await.unwrap();
    assert_eq!(first, [(entries[0], owner), (entries[1], owner)]);
    let rest = vault.entries_older_than(far_future(), Some(entries[1]), 10).await.unwrap();
    assert_eq!(rest.len(), 3);

    let unable = sweep(&*vault, &Known(None), far_future()).await;
    assert!(matches!(unable, Err(SweepError::References(_))));
    let known = Known(Some(HashSet::from([entries[1], entries[4]])));
    assert_eq!(sweep(&*vault, &known, long_ago).await.unwrap(), 0);
    assert_eq!(sweep(&*vault, &known, far_future()).await.unwrap(), 3);
    let left: Vec<_> = vault.list(owner).await.unwrap().into_iter().map(|info| info.entry).collect();
    assert_eq!(left, [entries[1], entries[4]]);
}

async fn digests_are_keyed_and_per_owner(place: Place) {
    let vault = place.open().await;
    let (owner, other) = (Uuid::new_v4(), Uuid::new_v4());
    let digest = vault.digest(owner, b"document");
    assert_eq!(digest.len(), 64);
    assert_eq!(place.open().await.digest(owner, b"document"), digest);
    assert_ne!(vault.digest(owner, b"documents"), digest);
    assert_ne!(vault.digest(other, b"document"), digest);
}

async fn names_can_be_forgotten(place: Place) {
    let vault = place.open().await;
    assert_eq!(vault.name_of("u1").await.unwrap(), None);
    vault.remember_name("u1", "Ann").await.unwrap();
    vault.remember_name("u1", "Ann Äpple-Traceable").await.unwrap();
    assert_eq!(vault.name_of("u1").await.unwrap().as_deref(), Some("Ann Äpple-Traceable"));
    assert!(vault.forget("u1").await.unwrap());
    assert!(!vault.forget("u1").await.unwrap());
    assert_eq!(vault.name_of("u1").await.unwrap(), None);
    assert!(!contains(&place.embedded_bytes(), b"Traceable"), "the files still hold the name");
}

async fn several_processes_share_it(place: Place) {
    let opened = futures::future::join_all((0..6).map(|_| place.try_open())).await;
    let vaults: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    let owner = Uuid::new_v4();
    let puts = (0..60).map(|n| {
        let vault = vaults[n % vaults.len()].clone();
        tokio::spawn(async move { vault.put(owner, "p", Secret::new(format!("secret {n}"))).await })
    });
    let entries = futures::future::join_all(puts).await;
    for (n, entry) in entries.into_iter().enumerate() {
        let entry = entry.unwrap().unwrap();
        let reader = &vaults[(n + 1) % vaults.len()];
        assert_eq!(reader.get(&entry, owner).await.unwrap().expose(), format!("secret {n}"));
    }
    let id = Uuid::new_v4();
    let same = vaults.iter().map(|vault| vault.put_as(id, owner, "p", secret("same")));
    for outcome in futures::future::join_all(same).await {
        assert_eq!(outcome.unwrap(), SecretRef(id));
    }
    assert_eq!(vaults[0].delete_owner(owner).await.unwrap(), 61);
}

macro_rules! on_both_engines {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::Place::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::Place::postgres().await).await;
            })*
        }
    };
}

on_both_engines!(
    keeps_a_password_and_a_document,
    refuses_another_owner,
    notices_an_altered_entry,
    a_wrong_key_stops_the_start,
    an_exposed_key_file_is_refused,
    rotates_its_keys,
    a_chosen_id_is_written_once,
    a_removed_entry_is_gone,
    leaves_no_trace_of_a_secret,
    sweeps_orphans,
    digests_are_keyed_and_per_owner,
    names_can_be_forgotten,
    several_processes_share_it,
);

/// A write says `Unavailable`, soon.
async fn expect_unavailable(vault: &dyn Vault, owner: Uuid) {
    let begun = Instant::now();
    let put = vault.put(owner, "p", secret("x")).await;
    assert!(matches!(put, Err(VaultError::Unavailable(_))), "{put:?}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_unavailable() {
    let cluster = Arc::new(Cluster::start());
    let url = cluster.new_database().await;
    let place = Place { directory: tempfile::tempdir().unwrap(), url, cluster: Some(cluster.clone()) };
    place.write_keys(&[("k1", 1)]);
    let vault = place.open().await;
    let owner = Uuid::new_v4();
    let entry = vault.put(owner, "p", secret("x")).await.unwrap();
    cluster.stop();
    expect_unavailable(&*vault, owner).await;
    assert!(matches!(vault.get(&entry, owner).await, Err(VaultError::Unavailable(_))));
    assert!(matches!(place.try_open().await.err(), Some(OpenError::Store(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_unavailable() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://nobody@{}/none", silent.local_addr().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let opened = vault::open(&url, directory.path(), Some(&directory.path().join("keys"))).await;
    assert!(matches!(opened.err(), Some(OpenError::Store(_))));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_is_unavailable() {
    let place = Place::sqlite().await;
    let vault = place.open().await;
    let pool = SqlitePool::connect(&place.file_url()).await.unwrap();
    let mut writer = pool.acquire().await.unwrap();
    sqlx::query("begin immediate").execute(&mut *writer).await.unwrap();
    expect_unavailable(&*vault, Uuid::new_v4()).await;
    sqlx::query("rollback").execute(&mut *writer).await.unwrap();
    vault.put(Uuid::new_v4(), "p", secret("x")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_embedded_vault_makes_its_own_key() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let opened = futures::future::join_all((0..4).map(|_| vault::open("embedded:", &data, None))).await;
    let vaults: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    let owner = Uuid::new_v4();
    let entry = vaults[0].put(owner, "p", secret("x")).await.unwrap();
    for vault in &vaults {
        assert_eq!(vault.get(&entry, owner).await.unwrap().expose(), "x");
    }
    for file in ["vault.key", "vault.db", "vault.db-wal"] {
        let mode = fs::metadata(data.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let left: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.len() <= 4, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_on_a_server_never_makes_a_key() {
    let place = Place::postgres().await;
    fs::remove_file(place.key_file()).unwrap();
    assert!(matches!(place.try_open().await.err(), Some(OpenError::KeyFile(KeyFileError::Io { .. }))));
    assert!(!place.key_file().exists());
    let without = vault::open(&place.url, place.directory.path(), None).await;
    assert!(matches!(without.err(), Some(OpenError::KeyFileRequired)));
}

#[tokio::test]
async fn an_unknown_url_is_refused_without_showing_it() {
    let directory = tempfile::tempdir().unwrap();
    let opened = vault::open("mysql://root:hunter2@host/db", directory.path(), None).await;
    assert!(!opened.err().unwrap().to_string().contains("hunter2"));
}
