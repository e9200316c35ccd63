//! Certificate revocation lists (RFC 5280 §5): what an issuer has revoked, one shard of it.

use certfleet_domain::{Revocation, RevocationReason, Timestamp};
use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope,
    KeyIdMethod, RevokedCertParams, SerialNumber,
};
use time::UtcOffset;
use x509_parser::parse_x509_crl;
use x509_parser::revocation_list::RevokedCertificate;

use crate::certificate::{IssueError, IssuerCertificate, require_http, sign_list};
use crate::signer::Signer;

/// What a CRL is to say.
#[derive(Debug, Clone)]
pub struct CrlTemplate<'a> {
    /// Its number: grows with each list of the same shard (RFC 5280 §5.2.3).
    pub number: u64,
    /// From when on it speaks; parts of a second are dropped.
    pub this_update: Timestamp,
    /// By when there will be another.
    pub next_update: Timestamp,
    /// Where it is had: the same octets as in the certificates that it is for (RFC 5280 §5.2.5).
    pub url: &'a str,
    /// What is revoked: [`RevocationReason::Unspecified`] is left out, as RFC 5280 §5.3.1 asks, and so are parts of a
    /// second.
    pub revoked: &'a [Revocation],
}

/// Signs a CRL for certificates of subscribers. Blocks as long as the signer does.
///
/// The result is read back: its signature verifies with the issuer's certificate, and it lists what it should.
///
/// # Errors
/// As for [`crate::issue`].
pub fn create_crl(
    template: &CrlTemplate<'_>,
    issuer_certificate: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, IssueError> {
    let issuer = IssuerCertificate::read(issuer_certificate)?;
    issuer.require_key(signer)?;
    require_http(template.url)?;
    let params = CertificateRevocationListParams {
        this_update: template.this_update.to_offset(UtcOffset::UTC),
        next_update: template.next_update.to_offset(UtcOffset::UTC),
        crl_number: SerialNumber::from(template.number),
        issuing_distribution_point: Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec![template.url.to_owned()],
            },
            scope: Some(CrlScope::UserCertsOnly),
        }),
        revoked_certs: template.revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::PreSpecified(issuer.key_identifier()?),
    };
    let der = sign_list(&params, &issuer, signer)?;
    check(&der, template, &issuer)?;
    Ok(der)
}

fn entry(revoked: &Revocation) -> RevokedCertParams {
    let reason = match revoked.reason {
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(rcgen::RevocationReason::KeyCompromise),
        RevocationReason::AffiliationChanged => Some(rcgen::RevocationReason::AffiliationChanged),
        RevocationReason::Superseded => Some(rcgen::RevocationReason::Superseded),
        RevocationReason::CessationOfOperation => {
            Some(rcgen::RevocationReason::CessationOfOperation)
        }
    };
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(revoked.serial.octets()),
        revocation_time: revoked.at.to_offset(UtcOffset::UTC),
        reason_code: reason,
        invalidity_date: None,
    }
}

/// The list is the template's, signed by the issuer.
fn check(
    der: &[u8],
    template: &CrlTemplate<'_>,
    issuer: &IssuerCertificate<'_>,
) -> Result<(), IssueError> {
    let Ok(([], list)) = parse_x509_crl(der) else {
        return Err(IssueError::SelfCheck("it does not parse"));
    };
    if list.issuer().as_raw() != issuer.parsed.subject().as_raw() {
        return Err(IssueError::SelfCheck("its issuer's name differs"));
    }
    list.verify_signature(issuer.parsed.public_key())
        .map_err(|_| IssueError::SelfCheck("its signature does not verify"))?;
    let listed = list
        .iter_revoked_certificates()
        .map(RevokedCertificate::raw_serial);
    let due = template.revoked.iter().map(|one| one.serial.octets());
    let next_update = list.next_update().map(|time| time.timestamp());
    let checks = [
        (listed.eq(due), "it lists other certificates"),
        (
            next_update == Some(template.next_update.unix_timestamp()),
            "its next update differs",
        ),
        (
            list.crl_number()
                .is_some_and(|number| *number == template.number.into()),
            "its number differs",
        ),
    ];
    match checks.into_iter().find(|(holds, _)| !holds) {
        None => Ok(()),
        Some((_, what)) => Err(IssueError::SelfCheck(what)),
    }
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{Serial, SystemRng};
    use time::Duration;

    use super::*;
    use crate::testing::{TestSigner, issuer, now};

    fn template(revoked: &[Revocation]) -> CrlTemplate<'_> {
        CrlTemplate {
            number: 7,
            this_update: now(),
            next_update: now() + Duration::days(4),
            url: "http://pki.example/crl/x/7.crl",
            revoked,
        }
    }

    #[test]
    fn every_reason_is_listed_and_none_is_unspecified() {
        let (issuer, key) = issuer();
        let codes = [0, 1, 3, 4, 5];
        let revoked: Vec<Revocation> = codes
            .iter()
            .map(|code| Revocation {
                serial: Serial::generate(&mut SystemRng),
                at: now(),
                reason: RevocationReason::from_code(*code).unwrap(),
            })
            .collect();
        let der = create_crl(&template(&revoked), &issuer, &key).unwrap();
        let (_, list) = parse_x509_crl(&der).unwrap();
        let told: Vec<Option<u8>> = list
            .iter_revoked_certificates()
            .map(|one| one.reason_code().map(|(_, reason)| reason.0))
            .collect();
        assert_eq!(told, [None, Some(1), Some(3), Some(4), Some(5)]);
        assert_eq!(
            create_crl(&template(&[]), &issuer, &key).map(|_| ()).ok(),
            Some(())
        );
    }

    #[test]
    fn the_key_of_another_signs_nothing() {
        let (issuer, _) = issuer();
        let other = TestSigner::p256();
        let error = create_crl(&template(&[]), &issuer, &other).unwrap_err();
        assert!(matches!(error, IssueError::Issuer(_)), "{error}");
    }

    #[test]
    fn a_list_is_had_over_plain_http_and_nothing_else() {
        let (issuer, key) = issuer();
        let template = CrlTemplate {
            url: "https://pki.example/crl",
            ..template(&[])
        };
        let error = create_crl(&template, &issuer, &key).unwrap_err();
        assert!(matches!(error, IssueError::Template(_)), "{error}");
    }
}
