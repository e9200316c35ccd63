//! Revocation (RFC 8555 §7.6): by the account that ordered, by one that holds authorizations for all names, or by
//! the certificate's own key.

use axum::extract::State;
use certfleet_acme::messages::RevokeCertificate;
use certfleet_audit::Act;
use certfleet_domain::{
    Account, Certificate, CertificateOrigin, CertificateState, ProblemKind, RevocationReason,
    Serial,
};
use certfleet_pki::{serial_of_certificate, spki_of_certificate};
use http::StatusCode;

use crate::app::App;
use crate::error::ApiError;
use crate::signed::{AtAuthority, Signed};
use crate::ticket::{Deed, Ticket};

pub async fn post(State(app): State<App>, request: Signed) -> Result<StatusCode, ApiError> {
    let wish: RevokeCertificate = request.jws().payload()?;
    let reason = wish.reason()?;
    match &request {
        Signed::Account(by) => {
            let certificate = find(&app, &by.at, wish.certificate.as_ref()).await?;
            require_right(&app, &by.account, &certificate).await?;
            revoke(&app, &by.ticket, certificate, reason).await
        }
        Signed::Key(by) => {
            let certificate = find(&app, &by.at, wish.certificate.as_ref()).await?;
            let spki = certificate
                .der()
                .and_then(|der| spki_of_certificate(der).ok());
            if !spki.is_some_and(|spki| by.key.same_key_as_spki(&spki)) {
                let detail = "the request is not signed by the certificate's key";
                return Err(ApiError::new(ProblemKind::Unauthorized, detail));
            }
            revoke(&app, &by.ticket, certificate, reason).await
        }
    }
}

/// The certificate of ours that this is, to the octet.
async fn find(app: &App, at: &AtAuthority, der: &[u8]) -> Result<Certificate, ApiError> {
    let malformed = |detail: &str| ApiError::new(ProblemKind::Malformed, detail);
    let serial = serial_of_certificate(der)
        .map_err(|_| malformed("\"certificate\" is not a DER certificate"))?;
    let foreign = || ApiError::NotFound("this authority has not issued this certificate");
    let serial = Serial::from_octets(&serial).ok_or_else(foreign)?;
    let found = app
        .store
        .certificates
        .find_by_serial(serial)
        .await?
        .ok_or_else(foreign)?;
    if found.authority == at.authority.name && found.der() == Some(der) {
        Ok(found)
    } else {
        Err(foreign())
    }
}

async fn require_right(
    app: &App,
    account: &Account,
    certificate: &Certificate,
) -> Result<(), ApiError> {
    if matches!(certificate.origin, CertificateOrigin::Order { account: own, .. } if own == account.id)
    {
        return Ok(());
    }
    let names = &certificate.identifiers;
    let held = app
        .store
        .authorizations
        .find_valid(&certificate.authority, account.id, names, app.now())
        .await?;
    let holds_all = names.iter().all(|name| {
        held.iter()
            .any(|authorization| authorization.identifier == *name)
    });
    if holds_all {
        Ok(())
    } else {
        let detail = "this account neither ordered the certificate nor holds authorizations for all of its names";
        Err(ApiError::new(ProblemKind::Unauthorized, detail))
    }
}

async fn revoke(
    app: &App,
    ticket: &Ticket,
    certificate: Certificate,
    reason: RevocationReason,
) -> Result<StatusCode, ApiError> {
    let already = || {
        ApiError::new(
            ProblemKind::AlreadyRevoked,
            "the certificate is revoked already",
        )
    };
    if matches!(certificate.state, CertificateState::Revoked { .. }) {
        return Err(already());
    }
    let revoked = certificate.revoke(app.now(), reason)?;
    let unit = app.store.certificates.update(&revoked)?;
    let deed = Deed::new(
        Act::RevokeCertificate,
        format_args!("certificate/{}", revoked.id),
    )
    .with_detail(format_args!("serial {}, {}", revoked.serial, reason.name()));
    match ticket.act(app, unit, deed).await {
        Ok(()) => {
            app.metrics.revoked(reason);
            Ok(StatusCode::OK)
        }
        // Nothing but a revocation changes an issued certificate.
        Err(error) if error.is_conflict() => Err(already()),
        Err(error) => Err(error.into()),
    }
}
