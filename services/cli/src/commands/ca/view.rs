//! An authority as it is shown.

use certfleet_domain::{Authority, Timestamp};
use certfleet_pki::validity_of_certificate;
use serde::Serialize;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::failure::Failure;
use crate::output::{Sheet, joined, moment};

/// An authority as it is shown.
#[derive(Debug, Serialize)]
pub struct AuthorityView {
    name: String,
    issuer: CertificateView,
    root: CertificateView,
    profiles: Vec<String>,
    retired_issuers: usize,
}

#[derive(Debug, Serialize)]
struct CertificateView {
    subject: String,
    key: String,
    #[serde(with = "time::serde::rfc3339")]
    not_before: Timestamp,
    #[serde(with = "time::serde::rfc3339")]
    not_after: Timestamp,
}

impl AuthorityView {
    /// The view of an authority.
    pub fn of(authority: &Authority) -> Result<Self, Failure> {
        Ok(Self {
            name: authority.name.to_string(),
            issuer: CertificateView::of(&authority.issuer.certificate)?,
            root: CertificateView::of(&authority.issuer.root)?,
            profiles: authority
                .profiles
                .iter()
                .map(|profile| profile.name.to_string())
                .collect(),
            retired_issuers: authority.retired_issuers.len(),
        })
    }

    /// Writes all authorities as a table.
    pub fn table(sheet: &mut Sheet, all: &[Self]) {
        let rows = all.iter().map(|authority| {
            [
                authority.name.clone(),
                authority.issuer.subject.clone(),
                authority.issuer.key.clone(),
                moment(authority.issuer.not_after),
                moment(authority.root.not_after),
                joined(&authority.profiles),
            ]
        });
        sheet.table(
            [
                "name",
                "issuer",
                "key",
                "valid until",
                "root until",
                "profiles",
            ],
            rows,
        );
    }
}

impl CertificateView {
    fn of(der: &[u8]) -> Result<Self, Failure> {
        let (_, certificate) = X509Certificate::from_der(der)?;
        let (not_before, not_after) = validity_of_certificate(der)?;
        Ok(Self {
            subject: certificate.subject().to_string(),
            key: key(&certificate),
            not_before,
            not_after,
        })
    }
}

fn key(certificate: &X509Certificate<'_>) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::EC(point)) => format!("ecdsa-p{}", point.key_size()),
        Ok(PublicKey::RSA(key)) => format!("rsa-{}", key.key_size()),
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{SystemClock, SystemRng};
    use certfleet_signer::KeyAlgorithm;

    use super::*;
    use crate::hierarchy::{KeyPlan, Plan};

    #[test]
    fn keys_are_named_as_they_are_asked_for() {
        for key in [
            KeyAlgorithm::EcdsaP256,
            KeyAlgorithm::EcdsaP384,
            KeyAlgorithm::Rsa2048,
        ] {
            let plan = Plan {
                issuer_key: KeyPlan::Made(key),
                ..Plan::default()
            };
            let name = "default".parse().unwrap();
            let made = plan.make(name, None, &SystemClock, &mut SystemRng).unwrap();
            let view = AuthorityView::of(&made.authority).unwrap();
            assert_eq!(view.issuer.key, key.name());
            assert!(view.issuer.subject.contains("default Issuer"));
        }
    }
}
