//! `certfleet inspect certificate`.

use std::str::FromStr;

use certfleet_domain::{
    Authority, Certificate, CertificateId, CertificateOrigin, CertificateState, RevocationReason,
    Serial, Timestamp,
};
use certfleet_pki::chain_pem;
use certfleet_storage::Store;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Output, Sheet, joined, moment, moment_or_none};

/// Which certificate: by its id or by its serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Id(CertificateId),
    Serial(Serial),
}

impl FromStr for Which {
    type Err = &'static str;

    /// A serial number may be written as openssl does: in capitals, with colons, with or without leading zeros.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text
            .trim_start_matches("0x")
            .replace(':', "")
            .to_lowercase();
        if let Ok(id) = plain.parse() {
            return Ok(Self::Id(id));
        }
        let padded = format!("{plain:0>34}");
        padded
            .parse()
            .map(Self::Serial)
            .map_err(|_| "neither an id (32 hexadecimal digits) nor a serial number of ours (34)")
    }
}

impl Which {
    /// The certificate, which has to be there.
    pub async fn find(self, store: &Store) -> Result<Certificate, Failure> {
        let (found, name) = match self {
            Self::Id(id) => (store.certificates.find(id).await?, id.to_string()),
            Self::Serial(serial) => {
                let found = store.certificates.find_by_serial(serial).await?;
                (found, serial.to_string())
            }
        };
        found.ok_or_else(|| Failure::not_found("certificate", name))
    }
}

/// A certificate as it is shown.
#[derive(Debug, Serialize)]
pub struct CertificateView {
    id: String,
    serial: String,
    status: &'static str,
    authority: String,
    issuer: String,
    /// `None` for a certificate of certfleet's own.
    account: Option<String>,
    order: Option<String>,
    identifiers: Vec<String>,
    profile: String,
    #[serde(with = "time::serde::rfc3339")]
    not_before: Timestamp,
    #[serde(with = "time::serde::rfc3339")]
    not_after: Timestamp,
    #[serde(with = "time::serde::rfc3339")]
    created_at: Timestamp,
    #[serde(with = "time::serde::rfc3339::option")]
    revoked_at: Option<Timestamp>,
    revocation_reason: Option<RevocationReason>,
}

/// Shows a certificate.
pub async fn run(store: &Store, which: Which, pem: bool, out: Output) -> Result<(), Failure> {
    let certificate = which.find(store).await?;
    if pem {
        let authority = store.authorities.find(&certificate.authority).await?;
        return Output::raw(&chain(&certificate, authority.as_ref())?);
    }
    let view = CertificateView::of(&certificate);
    out.show(&view, |sheet| view.write(sheet))
}

fn chain(certificate: &Certificate, authority: Option<&Authority>) -> Result<String, Failure> {
    let issuer = authority
        .and_then(|authority| authority.issuer(certificate.issuer))
        .ok_or_else(|| Failure::not_found("issuer", certificate.issuer))?;
    let der = certificate
        .der()
        .ok_or_else(|| Failure::not_found("signature yet on certificate", certificate.id))?;
    Ok(chain_pem(der, issuer))
}

impl CertificateView {
    /// The view of a certificate.
    pub fn of(certificate: &Certificate) -> Self {
        let (status, revoked) = match &certificate.state {
            CertificateState::Intended { .. } => ("intended", None),
            CertificateState::Issued { .. } => ("issued", None),
            CertificateState::Revoked { at, reason, .. } => ("revoked", Some((*at, *reason))),
        };
        let (account, order) = match certificate.origin {
            CertificateOrigin::Order { account, order } => {
                (Some(account.to_string()), Some(order.to_string()))
            }
            CertificateOrigin::Service => (None, None),
        };
        Self {
            id: certificate.id.to_string(),
            serial: certificate.serial.to_string(),
            status,
            authority: certificate.authority.to_string(),
            issuer: certificate.issuer.to_string(),
            account,
            order,
            identifiers: certificate
                .identifiers
                .iter()
                .map(ToString::to_string)
                .collect(),
            profile: certificate.profile.to_string(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            created_at: certificate.created_at,
            revoked_at: revoked.map(|(at, _)| at),
            revocation_reason: revoked.map(|(_, reason)| reason),
        }
    }

    /// Writes it for people.
    pub fn write(&self, sheet: &mut Sheet) {
        let reason = self.revocation_reason.as_ref().map(super::word);
        let own = "certfleet's own API".to_owned();
        sheet.title(format_args!("Certificate {}", self.id));
        sheet.pairs([
            ("status", self.status.to_owned()),
            ("revoked", moment_or_none(self.revoked_at)),
            ("reason", reason.unwrap_or_default()),
            ("serial", self.serial.clone()),
            ("names", joined(&self.identifiers)),
            ("valid from", moment(self.not_before)),
            ("valid until", moment(self.not_after)),
            ("profile", self.profile.clone()),
            ("authority", self.authority.clone()),
            ("issuer", self.issuer.clone()),
            ("account", self.account.clone().unwrap_or(own)),
            ("order", self.order.clone().unwrap_or_default()),
            ("created", moment(self.created_at)),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{SystemClock, SystemRng};

    use super::*;

    #[test]
    fn a_serial_number_is_read_as_openssl_writes_it() {
        let serial = Serial::generate(&mut SystemRng);
        let text = serial.to_string();
        let octets: Vec<String> = serial.octets().iter().map(|o| format!("{o:02X}")).collect();
        for form in [
            text.clone(),
            text.to_uppercase(),
            octets.join(":"),
            format!("0x{text}"),
        ] {
            assert_eq!(form.parse(), Ok(Which::Serial(serial)), "{form}");
        }
        let id = CertificateId::generate(&SystemClock, &mut SystemRng);
        assert_eq!(id.to_string().parse(), Ok(Which::Id(id)));
        for bad in ["", "x", "02", &format!("{text}0")] {
            assert!(bad.parse::<Which>().is_err(), "{bad}");
        }
    }
}
