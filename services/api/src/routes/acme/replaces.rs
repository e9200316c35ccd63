//! `replaces` (RFC 9773 §5): an order that says which certificate its own is to replace.

use std::collections::BTreeSet;

use certfleet_acme::CertId;
use certfleet_domain::{
    Account, Certificate, CertificateOrigin, Identifier, Order, OrderId, ProblemKind, Replaced,
    Serial,
};
use certfleet_pki::authority_key_identifier;
use certfleet_storage::Unit;

use crate::app::App;
use crate::error::ApiError;
use crate::signed::AtAuthority;

/// What a new order replaces.
pub(super) struct Renewal {
    /// The certificate.
    pub(super) replaced: Replaced,
    /// Whether the order is for exactly the certificate's names.
    pub(super) same_names: bool,
}

/// The certificate of a new order's `replaces`, if the order may replace it: ours, the account's own, sharing a name,
/// and not replaced by another.
pub(super) async fn check(
    app: &App,
    at: &AtAuthority,
    account: &Account,
    identifiers: &[Identifier],
    cert_id: &str,
) -> Result<Renewal, ApiError> {
    let malformed = |detail: String| ApiError::new(ProblemKind::Malformed, detail);
    let parsed: CertId = cert_id
        .parse()
        .map_err(|error| malformed(format!("\"replaces\" is {error}")))?;
    let unknown = || malformed("\"replaces\" names no certificate of this authority".to_owned());
    let found = named(app, at, &parsed).await?.ok_or_else(unknown)?;
    if !matches!(found.origin, CertificateOrigin::Order { account: owner, .. } if owner == account.id)
    {
        let detail = "the certificate to be replaced was ordered by another account";
        return Err(ApiError::new(ProblemKind::Unauthorized, detail));
    }
    if !found
        .identifiers
        .iter()
        .any(|name| identifiers.contains(name))
    {
        let detail = "the certificate to be replaced shares no name with this order";
        return Err(malformed(detail.to_owned()));
    }
    if found.replaced_by.is_some() {
        return Err(already());
    }
    let (its, these): (BTreeSet<_>, BTreeSet<_>) = (
        found.identifiers.iter().collect(),
        identifiers.iter().collect(),
    );
    Ok(Renewal {
        same_names: its == these,
        replaced: Replaced {
            certificate: found.id,
            cert_id: cert_id.to_owned(),
        },
    })
}

/// The certificate of this authority that ARI names so, if there is one.
pub(super) async fn named(
    app: &App,
    at: &AtAuthority,
    cert_id: &CertId,
) -> Result<Option<Certificate>, ApiError> {
    let Some(serial) = Serial::from_octets(&cert_id.serial) else {
        return Ok(None);
    };
    let found = app.store.certificates.find_by_serial(serial).await?;
    Ok(found.filter(|found| {
        let signed_by = found.der().map(authority_key_identifier);
        found.authority == at.authority.name
            && signed_by.is_some_and(|by| by.is_ok_and(|by| by == cert_id.key_identifier))
    }))
}

/// The unit that marks the certificate as replaced by the order, to be committed with the order's finalization.
pub(super) async fn mark(app: &App, order: &Order) -> Result<Unit, ApiError> {
    let Some(replaced) = &order.replaces else {
        return Ok(Unit::default());
    };
    let certificate = find(app, replaced).await?;
    if certificate.replaced_by.is_some() {
        return Err(already());
    }
    Ok(app
        .store
        .certificates
        .update(&certificate.replace(order.id)?)?)
}

/// Whether another order was faster to replace the certificate.
pub(super) async fn require_still_ours(app: &App, order: &Order) -> Result<(), ApiError> {
    let Some(replaced) = &order.replaces else {
        return Ok(());
    };
    let by: Option<OrderId> = find(app, replaced).await?.replaced_by;
    if by.is_some_and(|by| by != order.id) {
        Err(already())
    } else {
        Ok(())
    }
}

async fn find(app: &App, replaced: &Replaced) -> Result<Certificate, ApiError> {
    let id = replaced.certificate;
    let found = app.store.certificates.find(id).await?;
    found.ok_or_else(|| ApiError::Internal(format!("there is no certificate {id}")))
}

fn already() -> ApiError {
    let detail =
        "the certificate to be replaced has been replaced already; order without \"replaces\"";
    ApiError::new(ProblemKind::AlreadyReplaced, detail)
}
