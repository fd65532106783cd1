//! The vault's keys: the file that holds them, and what is sealed with them.
//!
//! The key file is text, one key a line: `<key id> <base64 of 32 bytes>`; blank lines and lines that begin with `#`
//! are ignored. Every key opens; the last one seals. To rotate, add the new key above the last line on every host,
//! then move it below, then re-seal, then take the old key out.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::{RngCore, TryRngCore, rngs::OsRng};
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Bytes of an AES-256 key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of the random nonce in front of every cipher text.
const NONCE_BYTES: usize = 12;
/// Says what the associated data is of, so that no other use of the same key can produce it.
const DOMAIN: &[u8] = b"dcm-vault-entry-1";

/// Why a key file cannot be used. Never holds a part of a key.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// It cannot be read or created.
    #[error("cannot use vault key file {path}: {cause}")]
    Io {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Others than its owner may read or write it.
    #[error(
        "vault key file {path} has mode {mode:04o}; others than its owner can use it: run chmod 600 {path}"
    )]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line is not `<key id> <base64 of 32 bytes>`, or repeats a key id.
    #[error("vault key file {path}, line {line}: {reason}")]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// Counted from one.
        line: usize,
        /// What is wrong with the line; not its text.
        reason: &'static str,
    },
    /// It has no key.
    #[error("vault key file {path} holds no key")]
    Empty {
        /// The key file.
        path: PathBuf,
    },
    /// The system gave no random bytes for a new key.
    #[error("no random bytes for a new vault key")]
    NoRandomness,
}

/// A cipher text could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    /// No key of that id is held.
    UnknownKey,
    /// Altered, moved to another entry or owner, or sealed with another key of the same id.
    Refused,
}

/// The keys of a key file, ready for use.
pub(super) struct Keyring {
    keys: Vec<(String, Aes256Gcm)>,
    newest: String,
}

impl Keyring {
    /// Reads `path`.
    pub(super) fn read(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |cause| KeyFileError::Io { path: path.to_owned(), cause };
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
        }
        // Room for all of it at once: a growing buffer would leave copies behind.
        let mut text =
            Zeroizing::new(String::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
        file.read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text, path)
    }

    /// Creates `path` with one new key, for its owner alone, if it does not exist yet.
    pub(super) fn create(path: &Path) -> Result<(), KeyFileError> {
        let failed = |cause| KeyFileError::Io { path: path.to_owned(), cause };
        let mut key = Zeroizing::new([0u8; KEY_BYTES]);
        OsRng.try_fill_bytes(key.as_mut_slice()).map_err(|_| KeyFileError::NoRandomness)?;
        let id = Uuid::now_v7().simple().to_string();
        let line =
            Zeroizing::new(format!("{id} {}\n", Zeroizing::new(STANDARD.encode(key.as_slice())).as_str()));
        // Written aside and linked into place: nobody reads half a key, and an existing file is never replaced.
        let aside = path.with_extension(format!("new-{id}"));
        let written = write_private(&aside, line.as_bytes()).and_then(|()| std::fs::hard_link(&aside, path));
        let removed = std::fs::remove_file(&aside);
        match written {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(cause) => Err(failed(cause)),
            Ok(()) => removed.and_then(|()| sync_directory(path)).map_err(failed),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, KeyFileError> {
        let mut keys: Vec<(String, Aes256Gcm)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let malformed =
                |reason| KeyFileError::Malformed { path: path.to_owned(), line: index + 1, reason };
            let (id, cipher) = parse_line(line).map_err(malformed)?;
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(malformed("the key id is there twice"));
            }
            keys.push((id, cipher));
        }
        let newest = keys.last().map(|(id, _)| id.clone());
        newest
            .map(|newest| Self { keys, newest })
            .ok_or_else(|| KeyFileError::Empty { path: path.to_owned() })
    }

    /// Id of the key that seals.
    pub(super) fn newest(&self) -> &str {
        &self.newest
    }

    /// Whether a key of that id is held.
    pub(super) fn holds(&self, key_id: &str) -> bool {
        self.cipher(key_id).is_some()
    }

    fn cipher(&self, key_id: &str) -> Option<&Aes256Gcm> {
        self.keys.iter().find(|(id, _)| id == key_id).map(|(_, cipher)| cipher)
    }

    /// Seals `plain` for entry `id` of `owner` with the newest key: nonce, cipher text, tag.
    /// `None` only for a text beyond the cipher's limit of 64 GiB.
    pub(super) fn seal(&self, id: Uuid, owner: Uuid, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = vec![0u8; NONCE_BYTES];
        rand::rng().fill_bytes(&mut sealed);
        let payload = Payload { msg: plain, aad: &associated(id, owner) };
        let cipher_text = self.cipher(&self.newest)?.encrypt(Nonce::from_slice(&sealed), payload).ok()?;
        sealed.extend_from_slice(&cipher_text);
        Some(sealed)
    }

    /// Opens what [`Keyring::seal`] gave, for the same entry and owner.
    pub(super) fn open(
        &self,
        key_id: &str,
        id: Uuid,
        owner: Uuid,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let cipher = self.cipher(key_id).ok_or(Unopened::UnknownKey)?;
        let (nonce, cipher_text) = sealed.split_at_checked(NONCE_BYTES).ok_or(Unopened::Refused)?;
        let payload = Payload { msg: cipher_text, aad: &associated(id, owner) };
        cipher.decrypt(Nonce::from_slice(nonce), payload).map(Zeroizing::new).map_err(|_| Unopened::Refused)
    }
}

/// What a cipher text is bound to besides its key: the entry's id and its owner, each 16 bytes.
fn associated(id: Uuid, owner: Uuid) -> Vec<u8> {
    [DOMAIN, id.as_bytes(), owner.as_bytes()].concat()
}

fn parse_line(line: &str) -> Result<(String, Aes256Gcm), &'static str> {
    let (id, encoded) = line.split_once(char::is_whitespace).ok_or("expected `<key id> <base64 key>`")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if id.len() > 64 || !id.chars().all(plain) {
        return Err("a key id is 1 to 64 letters, digits, `.`, `_` or `-`");
    }
    let bytes = Zeroizing::new(STANDARD.decode(encoded.trim()).map_err(|_| "the key is not base64")?);
    let cipher = Aes256Gcm::new_from_slice(&bytes).map_err(|_| "the key is not 32 bytes")?;
    Ok((id.to_owned(), cipher))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the file's name as durable as its content.
fn sync_directory(file: &Path) -> io::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{KeyFileError, Keyring, Unopened};
    use std::path::Path;
    use uuid::Uuid;

    const KEY_A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const KEY_B: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn ring(text: &str) -> Result<Keyring, KeyFileError> {
        Keyring::parse(text, Path::new("vault.key"))
    }

    #[test]
    fn the_last_key_seals_and_every_key_opens() {
        let (id, owner) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let old = ring(&format!("a {KEY_A}\n")).unwrap();
        let sealed = old.seal(id, owner, b"text").unwrap();
        let both = ring(&format!("# rotated\na {KEY_A}\n\nb {KEY_B}\n")).unwrap();
        assert_eq!(both.newest(), "b");
        assert_eq!(both.open("a", id, owner, &sealed).unwrap().as_slice(), b"text");
        let new = ring(&format!("b {KEY_B}")).unwrap();
        assert_eq!(new.open("a", id, owner, &sealed), Err(Unopened::UnknownKey));
        assert_eq!(new.open("b", id, owner, &sealed), Err(Unopened::Refused));
    }

    #[test]
    fn a_cipher_text_is_bound_to_its_entry_and_owner() {
        let keys = ring(&format!("a {KEY_A}")).unwrap();
        let (id, owner, other) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let sealed = keys.seal(id, owner, b"text").unwrap();
        assert_eq!(keys.open("a", other, owner, &sealed), Err(Unopened::Refused));
        assert_eq!(keys.open("a", id, other, &sealed), Err(Unopened::Refused));
        assert_eq!(keys.open("a", id, owner, &sealed[..5]), Err(Unopened::Refused));
        assert_ne!(keys.seal(id, owner, b"text").unwrap(), sealed, "every sealing has its own nonce");
    }

    #[test]
    fn a_malformed_file_is_refused_without_showing_it() {
        let texts = [
            String::new(),
            "# only a comment\n".into(),
            "justoneword\n".into(),
            "a bm90IGEga2V5\n".into(),
            "a ***\n".into(),
            format!("a/b {KEY_A}\n"),
            format!("a {KEY_A}\na {KEY_B}\n"),
        ];
        for text in texts {
            let error = ring(&text).err().unwrap().to_string();
            assert!(error.starts_with("vault key file vault.key"), "{error}");
            assert!(!error.contains("bm90"), "{error}");
        }
    }
}
