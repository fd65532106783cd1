//! The vault's tables, in one SQL text for SQLite and PostgreSQL.

use std::path::Path;
use std::time::Instant;

use async_trait::async_trait;
use dcm_domain::value::{Secret, SecretRef, Timestamp};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::check::{keys_for, open_check, refuse_missing_keys};
use super::key::{Keyring, Unopened};
use super::{EntryInfo, NewEntry, OpenError, Vault, VaultError};
use crate::sql::{Db, SqlError, bounded, on_engine};

/// Entries that one statement of [`Vault::reseal`] looks at.
const PAGE: i64 = 50;
/// Most entries that one call of [`Vault::entries_older_than`] returns.
const MOST_ENTRIES: u32 = 1000;

const SCHEMA: &str = "
create table if not exists vault_check (
    name    text   primary key,
    format  bigint not null,
    key_id  text   not null,
    sealed  bytea  not null
);
create table if not exists vault_entry (
    id          text   primary key,
    owner       text   not null,
    purpose     text   not null,
    key_id      text   not null,
    sealed      bytea  not null,
    created_at  bigint not null
);
create index if not exists vault_entry_owner on vault_entry (owner);
create index if not exists vault_entry_key on vault_entry (key_id);
create table if not exists actor_name (
    user_id       text primary key,
    display_name  text not null
);";

const ADD: &str = "
insert into vault_entry (id, owner, purpose, key_id, sealed, created_at) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do nothing";
const READ: &str = "select owner, purpose, key_id, sealed from vault_entry where id = $1";
const DELETE: &str = "delete from vault_entry where id = $1";
const DELETE_OWNER: &str = "delete from vault_entry where owner = $1";
const LIST: &str = "select id, purpose, created_at from vault_entry where owner = $1 order by id";
const OLDER: &str = "
select id, owner from vault_entry where created_at < $1 and id > $2 order by id limit $3";
const UNDER_OLD_KEYS: &str = "
select id, owner, key_id, sealed from vault_entry where key_id <> $1 and id > $2 order by id limit $3";
const RESEAL: &str = "update vault_entry set key_id = $1, sealed = $2 where id = $3 and key_id = $4";

const SET_NAME: &str = "
insert into actor_name (user_id, display_name) values ($1, $2)
on conflict (user_id) do update set display_name = excluded.display_name";
const READ_NAME: &str = "select display_name from actor_name where user_id = $1";
const FORGET_NAME: &str = "delete from actor_name where user_id = $1";

/// The vault on either engine.
pub(super) struct SqlVault {
    db: Db,
    keys: Keyring,
    digest: Hmac<Sha256>,
}

/// An entry as stored.
struct Row {
    owner: String,
    purpose: String,
    key_id: String,
    sealed: Vec<u8>,
}

/// An entry to be stored.
struct SealedRow {
    id: String,
    owner: String,
    purpose: &'static str,
    sealed: Vec<u8>,
    created_at: i64,
}

impl SqlVault {
    /// Opens store and keys, and proves that they belong together.
    pub(super) async fn open(url: &str, data_dir: &Path, key_file: Option<&Path>) -> Result<Self, OpenError> {
        let db = Db::open(url, data_dir, "vault.db").await?;
        db.create_schema(SCHEMA).await?;
        let path = match key_file {
            Some(path) => path.to_owned(),
            None if db.is_embedded() => data_dir.join("vault.key"),
            None => return Err(OpenError::KeyFileRequired),
        };
        let keys = keys_for(&db, &path).await?;
        let digest = open_check(&db, &keys, &path).await?;
        refuse_missing_keys(&db, &keys, &path).await?;
        Ok(Self { db, keys, digest })
    }

    fn sealed(&self, entry: &NewEntry) -> Result<SealedRow, VaultError> {
        let plain = entry.secret.expose().as_bytes();
        Ok(SealedRow {
            id: entry.id.to_string(),
            owner: entry.owner.to_string(),
            purpose: entry.purpose,
            sealed: self.keys.seal(entry.id, entry.owner, plain).ok_or(VaultError::TooLarge)?,
            created_at: Timestamp::from(chrono::Utc::now()).micros(),
        })
    }

    async fn row(&self, id: Uuid) -> Result<Option<Row>, VaultError> {
        let id = id.to_string();
        let row = bounded(async {
            on_engine!(&self.db, pool => sqlx::query_as(READ).bind(&id).fetch_optional(pool).await)
        });
        let row: Option<(String, String, String, Vec<u8>)> = row.await.map_err(unavailable)?;
        Ok(row.map(|(owner, purpose, key_id, sealed)| Row { owner, purpose, key_id, sealed }))
    }

    fn unseal(&self, entry: SecretRef, owner: Uuid, key_id: &str, sealed: &[u8]) -> Opened {
        self.keys.open(key_id, entry.0, owner, sealed).map_err(|why| match why {
            Unopened::UnknownKey => VaultError::WrongKey { entry, key_id: key_id.to_owned() },
            Unopened::Refused => VaultError::Altered(entry),
        })
    }

    /// Whether `row` is what a repeated `put_as` would write.
    fn holds(
        &self,
        row: &Row,
        entry: SecretRef,
        owner: Uuid,
        purpose: &str,
        secret: &Secret,
    ) -> Result<bool, VaultError> {
        if row.owner != owner.to_string() || row.purpose != purpose {
            return Ok(false);
        }
        let plain = self.unseal(entry, owner, &row.key_id, &row.sealed)?;
        Ok(plain.as_slice() == secret.expose().as_bytes())
    }

    /// Runs `sql`, which removes by one text, and takes the removed out of the files too.
    async fn remove(&self, sql: &'static str, by: &str) -> Result<u64, VaultError> {
        let _timed = Timed::of("remove");
        let removed = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query(sql).bind(by).execute(pool).await.map(|done| done.rows_affected())
            })
        });
        let removed = removed.await.map_err(unavailable)?;
        if removed > 0
            && let Err(error) = self.db.scrub().await
        {
            // The rows are gone; their overwritten pages reach the file with the next checkpoint.
            tracing::warn!(%error, "the vault's write-ahead log could not be emptied after a removal");
        }
        Ok(removed)
    }

    async fn reseal_page(&self, after: &str) -> Result<(u64, Option<String>), VaultError> {
        let page = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query_as(UNDER_OLD_KEYS)
                    .bind(self.keys.newest())
                    .bind(after)
                    .bind(PAGE)
                    .fetch_all(pool)
                    .await
            })
        });
        let page: Vec<(String, String, String, Vec<u8>)> = page.await.map_err(unavailable)?;
        let last = page.last().map(|(id, ..)| id.clone());
        let mut sealed_again = 0;
        for (id, owner, key_id, sealed) in page {
            let (entry, owner) = (SecretRef(uuid_of(&id)?), uuid_of(&owner)?);
            let plain = self.unseal(entry, owner, &key_id, &sealed)?;
            let sealed = self.keys.seal(entry.0, owner, &plain).ok_or(VaultError::TooLarge)?;
            let done = bounded(async {
                on_engine!(&self.db, pool => {
                    sqlx::query(RESEAL)
                        .bind(self.keys.newest())
                        .bind(sealed.as_slice())
                        .bind(&id)
                        .bind(&key_id)
                        .execute(pool)
                        .await
                        .map(|done| done.rows_affected())
                })
            });
            sealed_again += done.await.map_err(unavailable)?;
        }
        Ok((sealed_again, last))
    }
}

/// The plain text of an entry, or why it stays closed.
type Opened = Result<Zeroizing<Vec<u8>>, VaultError>;

#[async_trait]
impl Vault for SqlVault {
    async fn put_as(
        &self,
        id: Uuid,
        owner: Uuid,
        purpose: &str,
        secret: Secret,
    ) -> Result<SecretRef, VaultError> {
        let _timed = Timed::of("put");
        let entry = SecretRef(id);
        let sealed = self.keys.seal(id, owner, secret.expose().as_bytes()).ok_or(VaultError::TooLarge)?;
        let created_at = Timestamp::from(chrono::Utc::now()).micros();
        let added = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query(ADD)
                    .bind(id.to_string())
                    .bind(owner.to_string())
                    .bind(purpose)
                    .bind(self.keys.newest())
                    .bind(sealed.as_slice())
                    .bind(created_at)
                    .execute(pool)
                    .await
                    .map(|done| done.rows_affected())
            })
        });
        if added.await.map_err(unavailable)? == 1 {
            return Ok(entry);
        }
        match self.row(id).await? {
            Some(row) if self.holds(&row, entry, owner, purpose, &secret)? => Ok(entry),
            Some(_) => Err(VaultError::Conflict(entry)),
            // Deleted between the two statements: it was there, and now is not.
            None => Err(VaultError::NotFound(entry)),
        }
    }

    async fn put_all(&self, entries: Vec<NewEntry>) -> Result<(), VaultError> {
        let _timed = Timed::of("put-all");
        let rows = entries.iter().map(|entry| self.sealed(entry)).collect::<Result<Vec<_>, _>>()?;
        let added = bounded(async {
            on_engine!(&self.db, pool => {
                let mut tx = pool.begin().await?;
                let mut added = Vec::with_capacity(rows.len());
                for row in &rows {
                    let query = sqlx::query(ADD)
                        .bind(&row.id)
                        .bind(&row.owner)
                        .bind(row.purpose)
                        .bind(self.keys.newest())
                        .bind(row.sealed.as_slice())
                        .bind(row.created_at);
                    added.push(query.execute(&mut *tx).await?.rows_affected() == 1);
                }
                tx.commit().await.map(|()| added)
            })
        });
        let added = added.await.map_err(unavailable)?;
        for (entry, _) in entries.into_iter().zip(added).filter(|(_, added)| !added) {
            // It is there already: what it holds decides.
            self.put_as(entry.id, entry.owner, entry.purpose, entry.secret).await?;
        }
        Ok(())
    }

    async fn get(&self, entry: &SecretRef, owner: Uuid) -> Result<Secret, VaultError> {
        let _timed = Timed::of("get");
        let row = self.row(entry.0).await?.filter(|row| row.owner == owner.to_string());
        let row = row.ok_or(VaultError::NotFound(*entry))?;
        let mut plain = self.unseal(*entry, owner, &row.key_id, &row.sealed)?;
        Secret::from_bytes(std::mem::take(&mut *plain)).map_err(|_| VaultError::Altered(*entry))
    }

    async fn delete(&self, entry: &SecretRef) -> Result<bool, VaultError> {
        Ok(self.remove(DELETE, &entry.to_string()).await? > 0)
    }

    async fn delete_owner(&self, owner: Uuid) -> Result<u64, VaultError> {
        self.remove(DELETE_OWNER, &owner.to_string()).await
    }

    async fn list(&self, owner: Uuid) -> Result<Vec<EntryInfo>, VaultError> {
        let rows = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query_as(LIST).bind(owner.to_string()).fetch_all(pool).await
            })
        });
        let rows: Vec<(String, String, i64)> = rows.await.map_err(unavailable)?;
        let info = |(id, purpose, created_at): (String, String, i64)| {
            let entry = SecretRef(uuid_of(&id)?);
            Ok(EntryInfo { entry, purpose, created_at: Timestamp::from_micros(created_at) })
        };
        rows.into_iter().map(info).collect()
    }

    async fn entries_older_than(
        &self,
        before: Timestamp,
        after: Option<SecretRef>,
        limit: u32,
    ) -> Result<Vec<(SecretRef, Uuid)>, VaultError> {
        let after = after.map(|entry| entry.to_string()).unwrap_or_default();
        let rows = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query_as(OLDER)
                    .bind(before.micros())
                    .bind(&after)
                    .bind(i64::from(limit.min(MOST_ENTRIES)))
                    .fetch_all(pool)
                    .await
            })
        });
        let rows: Vec<(String, String)> = rows.await.map_err(unavailable)?;
        rows.iter().map(|(id, owner)| Ok((SecretRef(uuid_of(id)?), uuid_of(owner)?))).collect()
    }

    async fn reseal(&self) -> Result<u64, VaultError> {
        let mut sealed_again = 0;
        let mut after = String::new();
        loop {
            let (count, last) = self.reseal_page(&after).await?;
            sealed_again += count;
            match last {
                Some(last) => after = last,
                None => return Ok(sealed_again),
            }
        }
    }

    fn digest(&self, owner: Uuid, document: &[u8]) -> String {
        let mac = self.digest.clone().chain_update(owner.as_bytes()).chain_update(document);
        hex::encode(mac.finalize().into_bytes())
    }

    async fn remember_name(&self, user_id: &str, display_name: &str) -> Result<(), VaultError> {
        let set = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query(SET_NAME).bind(user_id).bind(display_name).execute(pool).await.map(drop)
            })
        });
        set.await.map_err(unavailable)
    }

    async fn name_of(&self, user_id: &str) -> Result<Option<String>, VaultError> {
        let name = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query_scalar(READ_NAME).bind(user_id).fetch_optional(pool).await
            })
        });
        name.await.map_err(unavailable)
    }

    async fn forget(&self, user_id: &str) -> Result<bool, VaultError> {
        Ok(self.remove(FORGET_NAME, user_id).await? > 0)
    }
}

/// The store gave no answer; counted.
fn unavailable(error: SqlError) -> VaultError {
    metrics::counter!("dcm_vault_failures_total").increment(1);
    VaultError::Unavailable(error)
}

/// Measures one operation until it is dropped.
struct Timed {
    operation: &'static str,
    begun: Instant,
}

impl Timed {
    fn of(operation: &'static str) -> Self {
        Self { operation, begun: Instant::now() }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        metrics::histogram!("dcm_vault_seconds", "operation" => self.operation).record(seconds);
    }
}

/// Reads an id of ours; what is no UUID was not written by us.
fn uuid_of(text: &str) -> Result<Uuid, VaultError> {
    let foreign = |error| VaultError::Unavailable(SqlError::Failed(sqlx::Error::Decode(Box::new(error))));
    Uuid::parse_str(text).map_err(foreign)
}
