//! finalize (RFC 8555 §7.4): the one moment in which an order's certificate is decided.
//!
//! One unit moves the order to `processing` under the id of its certificate, records that certificate as intended,
//! and enqueues the signing. Of any number of requests on any replicas one unit is applied; the others find the order
//! decided. A request that is the winner's repeated (the same key) is shown the order; any other is refused.

use axum::extract::{Path, State};
use axum::response::Response;
use certfleet_acme::messages::Finalize;
use certfleet_audit::Act;
use certfleet_domain::{
    Certificate, CertificateId, CertificateOrigin, CertificateState, Order, OrderState,
    OrderStatus, ProblemKind, Serial, SystemRng,
};
use certfleet_jobs::Job;
use certfleet_pki::{CheckedCsr, spki_of_certificate, within_issuer};

use super::order::{find_own, show};
use super::replaces;
use crate::app::{App, Enqueued};
use crate::error::ApiError;
use crate::signed::ByAccount;
use crate::ticket::Deed;

pub async fn post(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    request: ByAccount,
) -> Result<Response, ApiError> {
    let wish: Finalize = request.jws.payload()?;
    let mut order = find_own(&app, &request, &id).await?;
    let csr = CheckedCsr::parse(wish.csr.as_ref(), &order.identifiers)
        .map_err(|problem| ApiError::new(ProblemKind::BadCsr, problem.to_string()))?;
    if request.key.same_key_as_spki(csr.spki_der()) {
        let detail =
            "the CSR is for the account's own key, which must not be certified (RFC 8555 §11.1)";
        return Err(ApiError::new(ProblemKind::BadCsr, detail));
    }
    let awaited = app.listen_for(&Job::sign(&order));
    let mut enqueued = Enqueued::Before;
    if order.state == OrderState::Open {
        (order, enqueued) = decide(&app, &request, order, &csr).await?;
    }
    if enqueued == Enqueued::Before {
        require_same_key(&app, &order, &csr).await?;
    }
    if let OrderState::Processing { .. } = order.state {
        app.await_job(&awaited, enqueued).await?;
        order = find_own(&app, &request, &id).await?;
    }
    show(&app, &request, &order).await
}

/// Decides the order's certificate, or finds that it was decided before; gives the order as it then is.
async fn decide(
    app: &App,
    request: &ByAccount,
    order: Order,
    csr: &CheckedCsr,
) -> Result<(Order, Enqueued), ApiError> {
    let authorizations = app
        .store
        .authorizations
        .find_all(&order.authorizations)
        .await?;
    match order.status(&authorizations, app.now()) {
        OrderStatus::Ready => {}
        OrderStatus::Pending => {
            return Err(not_ready(
                "the order is pending: not all of its authorizations are valid yet",
            ));
        }
        OrderStatus::Invalid => {
            return Err(not_ready(
                "the order is invalid: it expired, or an authorization failed; make a new one",
            ));
        }
        OrderStatus::Processing | OrderStatus::Valid => return Ok((order, Enqueued::Before)),
    }
    let certificate = intended(app, request, &order, csr)?;
    let id = order.id;
    let replaced = replaces::mark(app, &order).await?;
    let decided = order.finalize(certificate.id)?;
    let store = &app.store;
    let unit = store
        .orders
        .update(&decided)?
        .and(store.certificates.insert(&certificate)?)
        .and(replaced)
        .and(store.jobs.enqueue(&Job::sign(&decided))?);
    let deed = Deed::new(Act::FinalizeOrder, format_args!("order/{id}"))
        .with_detail(format_args!("certificate/{}", certificate.id));
    match request.ticket.act(app, unit, deed).await {
        Ok(()) => Ok((decided, Enqueued::Now)),
        Err(error) if error.is_conflict() => {
            let found = find_own(app, request, &id.to_string()).await?;
            if found.state == OrderState::Open {
                replaces::require_still_ours(app, &found).await?;
                return Err(error.into());
            }
            Ok((found, Enqueued::Before))
        }
        Err(error) => Err(error.into()),
    }
}

/// The certificate that is to come of the order, as it is recorded before it is signed.
fn intended(
    app: &App,
    request: &ByAccount,
    order: &Order,
    csr: &CheckedCsr,
) -> Result<Certificate, ApiError> {
    let authority = &request.at.authority;
    let profile = authority.profile(Some(&order.profile)).ok_or_else(|| {
        let detail = format!(
            "the authority no longer offers the order's profile {}: make a new order",
            order.profile
        );
        ApiError::new(ProblemKind::InvalidProfile, detail)
    })?;
    let now = app.now();
    let wished = profile.validity(now, order.not_before, order.not_after);
    let (not_before, not_after) =
        within_issuer(wished, &authority.issuer.certificate).map_err(|error| {
            ApiError::Internal(format!("authority {}: issuer: {error}", authority.name))
        })?;
    Ok(Certificate {
        id: CertificateId::generate(app.clock.as_ref(), &mut SystemRng),
        serial: Serial::generate(&mut SystemRng),
        authority: authority.name.clone(),
        issuer: authority.issuer.id,
        origin: CertificateOrigin::Order {
            account: order.account,
            order: order.id,
        },
        identifiers: order.identifiers.clone(),
        profile: order.profile.clone(),
        not_before,
        not_after,
        replaced_by: None,
        created_at: now,
        state: CertificateState::Intended {
            csr: csr.der().to_vec(),
        },
        version: 0,
    })
}

/// Whether the order's certificate is for the key of this request: then the request is the deciding one, repeated.
async fn require_same_key(app: &App, order: &Order, csr: &CheckedCsr) -> Result<(), ApiError> {
    let id = match order.state {
        OrderState::Processing { certificate } | OrderState::Valid { certificate } => certificate,
        OrderState::Open | OrderState::Invalid { .. } => return Ok(()),
    };
    let missing =
        || ApiError::Internal(format!("order {}: there is no certificate {id}", order.id));
    let certificate = app.store.certificates.find(id).await?.ok_or_else(missing)?;
    let same = match &certificate.state {
        CertificateState::Intended { csr: intended } => intended == csr.der(),
        CertificateState::Issued { der } | CertificateState::Revoked { der, .. } => {
            spki_of_certificate(der).is_ok_and(|spki| spki == csr.spki_der())
        }
    };
    if same {
        Ok(())
    } else {
        Err(not_ready(
            "the order was finalized before, with another CSR",
        ))
    }
}

fn not_ready(detail: &str) -> ApiError {
    ApiError::new(ProblemKind::OrderNotReady, detail)
}
