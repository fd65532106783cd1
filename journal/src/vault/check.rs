//! The proof that key file and vault belong together: an entry written when the vault was new.

use std::path::Path;

use hmac::{Hmac, Mac};
use rand::{TryRngCore, rngs::OsRng};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::OpenError;
use super::key::{KEY_BYTES, KeyFileError, Keyring, Unopened};
use crate::sql::{Db, SqlError, bounded, on_engine};

/// Version of the tables and of what is in `sealed`.
const FORMAT: i64 = 1;

const READ_CHECK: &str = "select format, key_id, sealed from vault_check where name = 'check'";
const ADD_CHECK: &str = "
insert into vault_check (name, format, key_id, sealed) values ('check', $1, $2, $3)
on conflict (name) do nothing";
const RESEAL_CHECK: &str =
    "update vault_check set key_id = $1, sealed = $2 where name = 'check' and key_id = $3";
const KEYS_IN_USE: &str = "select distinct key_id from vault_entry order by key_id";

/// The check entry as stored: format, key id, sealed bytes.
type Check = (i64, String, Vec<u8>);

async fn read_check(db: &Db) -> Result<Option<Check>, SqlError> {
    bounded(async { on_engine!(db, pool => sqlx::query_as(READ_CHECK).fetch_optional(pool).await) }).await
}

/// Reads the key file; an embedded vault that is new gets a new one.
pub(super) async fn keys_for(db: &Db, path: &Path) -> Result<Keyring, OpenError> {
    // In this order: whoever opens a new vault at the same time makes the key before the check entry.
    let checked = read_check(db).await?.is_some();
    let missing = !path.try_exists().map_err(|cause| KeyFileError::Io { path: path.to_owned(), cause })?;
    if missing && checked {
        return Err(OpenError::KeyFileMissing(path.to_owned()));
    }
    if missing && db.is_embedded() {
        Keyring::create(path)?;
    }
    Ok(Keyring::read(path)?)
}

/// Opens the check entry, which holds the key of [`Vault::digest`]; writes it first if the vault is new.
pub(super) async fn open_check(db: &Db, keys: &Keyring, path: &Path) -> Result<Hmac<Sha256>, OpenError> {
    let check = match read_check(db).await? {
        Some(check) => Some(check),
        None => {
            add_check(db, keys).await?;
            read_check(db).await?
        }
    };
    let (format, key_id, sealed) = check.ok_or(SqlError::Failed(sqlx::Error::RowNotFound))?;
    if format != FORMAT {
        return Err(OpenError::UnknownFormat(format));
    }
    let refused = || OpenError::KeyRefused { path: path.to_owned(), key_id: key_id.clone() };
    let plain = keys.open(&key_id, Uuid::nil(), Uuid::nil(), &sealed).map_err(|why| match why {
        Unopened::UnknownKey => OpenError::KeyMissing { path: path.to_owned(), key_id: key_id.clone() },
        Unopened::Refused => refused(),
    })?;
    if key_id != keys.newest() {
        reseal_check(db, keys, &plain, &key_id).await?;
    }
    Hmac::new_from_slice(&plain).map_err(|_| refused())
}

async fn add_check(db: &Db, keys: &Keyring) -> Result<(), OpenError> {
    let mut digest_key = Zeroizing::new([0u8; KEY_BYTES]);
    OsRng.try_fill_bytes(digest_key.as_mut_slice()).map_err(|_| KeyFileError::NoRandomness)?;
    let Some(sealed) = keys.seal(Uuid::nil(), Uuid::nil(), digest_key.as_slice()) else {
        return Ok(());
    };
    let add = bounded(async {
        on_engine!(db, pool => {
            sqlx::query(ADD_CHECK)
                .bind(FORMAT)
                .bind(keys.newest())
                .bind(sealed.as_slice())
                .execute(pool)
                .await
                .map(drop)
        })
    });
    Ok(add.await?)
}

async fn reseal_check(db: &Db, keys: &Keyring, plain: &[u8], old: &str) -> Result<(), OpenError> {
    let Some(sealed) = keys.seal(Uuid::nil(), Uuid::nil(), plain) else {
        return Ok(());
    };
    let update = bounded(async {
        on_engine!(db, pool => {
            sqlx::query(RESEAL_CHECK)
                .bind(keys.newest())
                .bind(sealed.as_slice())
                .bind(old)
                .execute(pool)
                .await
                .map(drop)
        })
    });
    Ok(update.await?)
}

/// Stops the start when an entry is sealed with a key that was taken out too early.
pub(super) async fn refuse_missing_keys(db: &Db, keys: &Keyring, path: &Path) -> Result<(), OpenError> {
    let in_use =
        bounded(async { on_engine!(db, pool => sqlx::query_scalar(KEYS_IN_USE).fetch_all(pool).await) });
    let in_use: Vec<String> = in_use.await?;
    match in_use.into_iter().find(|key_id| !keys.holds(key_id)) {
        Some(key_id) => Err(OpenError::KeyMissing { path: path.to_owned(), key_id }),
        None => Ok(()),
    }
}
