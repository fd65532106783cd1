//! Does a served chain lead to the CA that was issued for a region? (access.md §13.4 steps 3 and 4)
//!
//! A check of signatures and validity dates. The name in the certificate is not compared: the endpoint is reached by
//! an address that its certificate need not carry.

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

/// The certificates a region's chain may end at: the region's intermediate CA, its issuer, or both.
#[derive(Debug, Clone)]
pub struct ExpectedCa {
    certificates: Vec<CertificateDer<'static>>,
}

/// Why a file holds no expected CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableCa {
    /// Something between `BEGIN` and `END` lines is not what it says, or a line is missing.
    #[error("not PEM: {0}")]
    NotPem(String),
    /// There is no certificate in it.
    #[error("holds no certificate")]
    Empty,
    /// A certificate in it cannot be parsed.
    #[error("holds a broken certificate: {0}")]
    BrokenCertificate(String),
}

/// Why a chain is not accepted, in words for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotVerified(pub String);

impl ExpectedCa {
    /// Reads one or more certificates from PEM text; sections of other kinds are passed over.
    pub fn from_pem(pem: &[u8]) -> Result<Self, UnreadableCa> {
        let certificates = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| UnreadableCa::NotPem(error.to_string()))?;
        if certificates.is_empty() {
            return Err(UnreadableCa::Empty);
        }
        anchors(&certificates).map_err(|error| UnreadableCa::BrokenCertificate(error.to_string()))?;
        Ok(Self { certificates })
    }

    /// Whether `chain`, end entity first, leads to one of the expected certificates at the time `now`.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), NotVerified> {
        let refused = |error: rustls::Error| NotVerified(error.to_string());
        let Some((end_entity, intermediates)) = chain.split_first() else {
            return Err(NotVerified("no certificate was served".to_owned()));
        };
        let valid: Vec<_> = self
            .certificates
            .iter()
            .filter(|certificate| is_within_dates(certificate, now, algorithms))
            .cloned()
            .collect();
        if valid.is_empty() {
            return Err(NotVerified("the expected CA is outside its validity dates".to_owned()));
        }
        let roots = anchors(&valid).map_err(refused)?;
        let end_entity = ParsedCertificate::try_from(end_entity).map_err(refused)?;
        verify_server_cert_signed_by_trust_anchor(&end_entity, &roots, intermediates, now, algorithms.all)
            .map_err(refused)
    }
}

fn anchors(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone())?;
    }
    Ok(roots)
}

/// A chain check does not look at the dates of the anchor it ends at, but an expired CA proves nothing. Its dates are
/// read by checking the anchor as if it were the served certificate: dates come first there, and every later
/// objection (that it is a CA) means that they were right.
fn is_within_dates(
    anchor: &CertificateDer<'_>,
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let Ok(parsed) = ParsedCertificate::try_from(anchor) else {
        return false;
    };
    let checked =
        verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], now, algorithms.all);
    !matches!(
        checked,
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
                | CertificateError::BadEncoding
        ))
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use super::super::testing::{Ca, YEARS_LEFT, YEARS_PAST, YEARS_TO_COME};
    use super::*;

    fn verify(expected: &[&Ca], chain: &[CertificateDer<'static>]) -> Result<(), NotVerified> {
        let pem: String = expected.iter().map(|ca| ca.pem()).collect();
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        ExpectedCa::from_pem(pem.as_bytes()).unwrap().verify(chain, UnixTime::now(), &algorithms)
    }

    #[test]
    fn a_chain_is_followed_through_served_intermediates() {
        let root = Ca::root("root", YEARS_LEFT);
        let region = root.intermediate("region", YEARS_LEFT);
        let leaf = region.leaf("r1", YEARS_LEFT).0;
        assert_eq!(verify(&[&root], &[leaf.clone(), region.der()]), Ok(()));
        assert_eq!(verify(&[&region], std::slice::from_ref(&leaf)), Ok(()));
        assert_eq!(verify(&[&region, &root], std::slice::from_ref(&leaf)), Ok(()));
        assert!(verify(&[&root], &[leaf]).is_err(), "the intermediate is neither served nor expected");
    }

    #[test]
    fn another_ca_of_the_same_name_is_not_accepted() {
        let (ours, theirs) = (Ca::root("root", YEARS_LEFT), Ca::root("root", YEARS_LEFT));
        assert!(verify(&[&ours], &[theirs.leaf("r1", YEARS_LEFT).0]).is_err());
        assert_eq!(verify(&[&ours, &theirs], &[theirs.leaf("r1", YEARS_LEFT).0]), Ok(()));
    }

    #[test]
    fn dates_count_for_the_leaf() {
        let root = Ca::root("root", YEARS_LEFT);
        let refused = verify(&[&root], &[root.leaf("r1", YEARS_PAST).0]).unwrap_err();
        assert!(refused.0.contains("expired"), "{refused}");
        let refused = verify(&[&root], &[root.leaf("r1", YEARS_TO_COME).0]).unwrap_err();
        assert!(refused.0.contains("not valid yet"), "{refused}");
    }

    #[test]
    fn dates_count_for_the_expected_ca() {
        for years in [YEARS_PAST, YEARS_TO_COME] {
            let root = Ca::root("root", years);
            let refused = verify(&[&root], &[root.leaf("r1", YEARS_LEFT).0]).unwrap_err();
            assert_eq!(refused.0, "the expected CA is outside its validity dates");
        }
    }

    #[test]
    fn an_expired_certificate_beside_a_valid_one_does_no_harm() {
        let (old, new) = (Ca::root("root", YEARS_PAST), Ca::root("root", YEARS_LEFT));
        assert_eq!(verify(&[&old, &new], &[new.leaf("r1", YEARS_LEFT).0]), Ok(()));
        assert!(verify(&[&old, &new], &[old.leaf("r1", YEARS_LEFT).0]).is_err());
    }

    #[test]
    fn nothing_served_is_not_verified() {
        assert!(verify(&[&Ca::root("root", YEARS_LEFT)], &[]).is_err());
    }

    #[test]
    fn what_is_no_certificate_is_told_apart() {
        let read = |text: &[u8]| ExpectedCa::from_pem(text).unwrap_err();
        assert_eq!(read(b""), UnreadableCa::Empty);
        assert_eq!(read(b"\xff\x00 no pem at all"), UnreadableCa::Empty);
        let unended = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(read(unended), UnreadableCa::NotPem(_)));
        let no_base64 = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(read(no_base64), UnreadableCa::NotPem(_)));
        let no_der = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(read(no_der), UnreadableCa::BrokenCertificate(_)));
    }
}
