//! Certificates for tests: authorities and leaves with chosen validity dates.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// First and last year of a certificate's validity.
pub(crate) type Years = (i32, i32);
pub(crate) const YEARS_LEFT: Years = (2020, 2200);
pub(crate) const YEARS_PAST: Years = (2010, 2011);
pub(crate) const YEARS_TO_COME: Years = (2190, 2200);

/// An authority that exists in memory only.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    /// A self-signed authority.
    pub(crate) fn root(name: &str, years: Years) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(authority(name, years), key).expect("a root"))
    }

    /// An authority signed by this one.
    pub(crate) fn intermediate(&self, name: &str, years: Years) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = authority(name, years);
        Self(CertifiedIssuer::signed_by(params, key, &self.0).expect("an intermediate"))
    }

    /// A server certificate for `name`, and its key.
    pub(crate) fn leaf(&self, name: &str, years: Years) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(name, years);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.0).expect("a leaf");
        (leaf.der().clone(), key.into())
    }

    /// The authority's certificate as PEM text.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The authority's certificate.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }
}

fn authority(name: &str, years: Years) -> CertificateParams {
    let mut params = params(name, years);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn params(name: &str, (from, to): Years) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a DNS name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(uuid::Uuid::new_v4().as_bytes()));
    params
}
