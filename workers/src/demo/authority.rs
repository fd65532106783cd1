//! The demo authority: a self-signed CA in a directory, made once and loaded ever after.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chrono::Datelike;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::certmon::chain::ExpectedCa;
use crate::certmon::handshake::expected_ca_path;

const KEY_FILE: &str = "ca.key.pem";
const CERTIFICATE_FILE: &str = "ca.pem";
const CA_YEARS: i32 = 30;
const LEAF_YEARS: i32 = 10;

/// Why the authority cannot be used, or its certificate not be handed out.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file or the directory could not be read or written.
    #[error("demo authority: {path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key file holds no usable key, or signing failed.
    #[error("demo authority: {0}")]
    Key(#[from] rcgen::Error),
    /// The certificate file is no certificate of the key beside it, or is outside its dates.
    #[error("demo authority: {path} does not fit the key beside it ({reason}); remove both to start afresh")]
    Mismatch {
        /// The certificate file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Signs the certificates of the demo endpoints.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// Loads the authority in `dir`, or makes one: `ca.key.pem` (mode 0600) and `ca.pem`. The directory is created
    /// if need be, for its owner only. An interrupted making is completed. Blocks on files for a moment.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| at(dir, source))?;
        let key = load_or_make_key(&dir.join(KEY_FILE))?;
        let path = dir.join(CERTIFICATE_FILE);
        let params = authority_params();
        let certificate = match read_if_there(&path)? {
            Some(pem) => pem,
            None => {
                let pem = params.self_signed(&key)?.pem();
                replace(&path, pem.as_bytes(), Kind::Certificate)?;
                pem
            }
        };
        let authority = Self { issuer: Issuer::new(params, key), certificate };
        authority.check().map(|()| authority).map_err(|mismatch| match mismatch {
            Check::Failed(error) => AuthorityError::Key(error),
            Check::Mismatch(reason) => AuthorityError::Mismatch { path, reason },
        })
    }

    /// The authority's certificate as PEM text.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Writes the authority's certificate as the one expected for each region: `<dir>/<region>.pem`. Files that are
    /// right already are left alone. Blocks on files for a moment.
    pub fn write_expected<'a>(
        &self,
        dir: &Path,
        regions: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), AuthorityError> {
        fs::create_dir_all(dir).map_err(|source| at(dir, source))?;
        for region in regions {
            let path = expected_ca_path(dir, region);
            if fs::read(&path).is_ok_and(|there| there == self.certificate.as_bytes()) {
                continue;
            }
            replace(&path, self.certificate.as_bytes(), Kind::Copy)?;
        }
        Ok(())
    }

    /// A server certificate for `region`, which must be a DNS name, and for the loopback address, of the public part
    /// of `key`.
    pub(super) fn issue(&self, region: &str, key: &KeyPair) -> Result<CertificateDer<'static>, rcgen::Error> {
        let mut params = CertificateParams::new([region.to_owned(), "127.0.0.1".to_owned()])?;
        // X.509 bounds a common name to 64 characters; the alternative names carry the whole region.
        params.distinguished_name.push(DnType::CommonName, region.chars().take(64).collect::<String>());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        // The endpoints share one key, from which the default serial number would be derived: the same for all.
        params.serial_number = Some(SerialNumber::from_slice(Uuid::new_v4().as_bytes()));
        set_dates(&mut params, LEAF_YEARS);
        Ok(params.signed_by(key, &self.issuer)?.into())
    }

    /// Whether what the key signs verifies against the certificate today.
    fn check(&self) -> Result<(), Check> {
        let probe = self.issue("probe", self.issuer.key()).map_err(Check::Failed)?;
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        ExpectedCa::from_pem(self.certificate.as_bytes())
            .map_err(|error| Check::Mismatch(error.to_string()))?
            .verify(&[probe], UnixTime::now(), &algorithms)
            .map_err(|error| Check::Mismatch(error.to_string()))
    }
}

enum Check {
    Failed(rcgen::Error),
    Mismatch(String),
}

/// The same at every start: what the authority signs names it as its issuer by these words and its key.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "dcm demo authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_dates(&mut params, CA_YEARS);
    params
}

/// From the beginning of last year (clocks differ) for `years` years and a bit.
fn set_dates(params: &mut CertificateParams, years: i32) {
    let this_year = chrono::Utc::now().year();
    params.not_before = date_time_ymd(this_year - 1, 1, 1);
    params.not_after = date_time_ymd(this_year + years, 1, 1);
}

fn load_or_make_key(path: &Path) -> Result<KeyPair, AuthorityError> {
    match read_if_there(path)?.map(Zeroizing::new) {
        Some(pem) => Ok(KeyPair::from_pem(&pem)?),
        None => {
            let key = KeyPair::generate()?;
            replace(path, Zeroizing::new(key.serialize_pem()).as_bytes(), Kind::Key)?;
            Ok(key)
        }
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, AuthorityError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(at(path, source)),
    }
}

/// What is written, which decides who may read it and whether the disk is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Key,
    Certificate,
    /// Rewritten by the next start if it is not right, so not worth a thousand waits.
    Copy,
}

/// Writes a file that is there whole or not at all: a reader never sees half a certificate.
fn replace(path: &Path, content: &[u8], kind: Kind) -> Result<(), AuthorityError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    write_new(&beside, content, kind)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|source| at(path, source))
}

/// Writes a file that was not there; one left over from an interrupted attempt, with whatever mode, is removed first.
fn write_new(path: &Path, content: &[u8], kind: Kind) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mode = if kind == Kind::Key { 0o600 } else { 0o644 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    if kind == Kind::Copy { Ok(()) } else { file.sync_all() }
}

fn at(path: &Path, source: io::Error) -> AuthorityError {
    AuthorityError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: PathBuf) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn is_of(ca: &str, leaf: CertificateDer<'static>) -> bool {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        ExpectedCa::from_pem(ca.as_bytes()).unwrap().verify(&[leaf], UnixTime::now(), &algorithms).is_ok()
    }

    #[test]
    fn an_authority_is_made_once_and_signs_the_same_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("demo");
        let first = Authority::open(&home).unwrap();
        assert_eq!((mode(home.clone()), mode(home.join(KEY_FILE))), (0o700, 0o600));
        let again = Authority::open(&home).unwrap();
        assert_eq!(first.certificate(), again.certificate());
        let leaf = again.issue("r1", &KeyPair::generate().unwrap()).unwrap();
        assert!(is_of(first.certificate(), leaf));
        assert_eq!(fs::read_dir(&home).unwrap().count(), 2, "nothing is left over");
    }

    #[test]
    fn a_making_that_was_interrupted_is_completed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.key.pem.new"), "half a ke").unwrap();
        Authority::open(dir.path()).unwrap();
        fs::remove_file(dir.path().join(CERTIFICATE_FILE)).unwrap();
        let authority = Authority::open(dir.path()).unwrap();
        let leaf = authority.issue("r1", &KeyPair::generate().unwrap()).unwrap();
        assert!(is_of(&fs::read_to_string(dir.path().join(CERTIFICATE_FILE)).unwrap(), leaf));
    }

    #[test]
    fn files_that_do_not_fit_together_are_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Authority::open(one.path()).unwrap();
        let strange = Authority::open(other.path()).unwrap();
        for content in [strange.certificate(), "garbage"] {
            fs::write(one.path().join(CERTIFICATE_FILE), content).unwrap();
            assert!(matches!(Authority::open(one.path()), Err(AuthorityError::Mismatch { .. })));
        }
        fs::write(one.path().join(KEY_FILE), "garbage").unwrap();
        assert!(matches!(Authority::open(one.path()), Err(AuthorityError::Key(_))));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = Authority::open(&file.join("demo")).err().unwrap();
        assert!(refused.to_string().contains("file/demo"), "{refused}");
    }

    #[test]
    fn the_expected_ca_is_written_for_each_region() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(&dir.path().join("demo")).unwrap();
        let expected = dir.path().join("expected");
        authority.write_expected(&expected, ["r1", "r2"]).unwrap();
        fs::write(expected.join("r2.pem"), "outdated").unwrap();
        authority.write_expected(&expected, ["r1", "r2", "../r3"]).unwrap();
        for file in ["r1.pem", "r2.pem", "..%2Fr3.pem"] {
            assert_eq!(fs::read_to_string(expected.join(file)).unwrap(), authority.certificate(), "{file}");
        }
    }
}
