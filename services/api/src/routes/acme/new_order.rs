//! newOrder (RFC 8555 §7.4).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use certfleet_acme::messages::NewOrder;
use certfleet_audit::Act;
use certfleet_domain::{
    Account, Authorization, AuthorizationStatus, Identifier, LimitKey, Order, OrderId, OrderState,
    Problem, ProblemKind, Profile, ProfileName, SystemRng, Timestamp,
};
use certfleet_storage::Unit;
use http::StatusCode;
use http::header::LOCATION;
use time::Duration;

use super::{new_authz, order, replaces};
use crate::app::App;
use crate::error::ApiError;
use crate::signed::{AtAuthority, ByAccount};
use crate::ticket::Deed;

/// An authorization that is about to end is not used again: the order has to have time.
const FRESH_FOR: Duration = Duration::hours(1);

pub async fn post(State(app): State<App>, request: ByAccount) -> Result<Response, ApiError> {
    app.require_no_maintenance()?;
    let ByAccount {
        at,
        account,
        jws,
        ticket,
        ..
    } = request;
    let wish: NewOrder = jws.payload()?;
    let identifiers = wish.parse_identifiers()?;
    let profile = profile_of(&at, wish.profile.as_deref())?;
    let now = app.now();
    check_validity(profile, now, wish.not_before, wish.not_after)?;

    let renewal = match &wish.replaces {
        Some(cert_id) => Some(replaces::check(&app, &at, &account, &identifiers, cert_id).await?),
        None => None,
    };
    let exempt = renewal.as_ref().is_some_and(|renewal| renewal.same_names);
    let replaces = renewal.map(|renewal| renewal.replaced);
    let (authorizations, fresh) = authorizations(&app, &at, &account, &identifiers, now).await?;
    let order = Order {
        id: OrderId::generate(app.clock.as_ref(), &mut SystemRng),
        authority: at.authority.name.clone(),
        account: account.id,
        identifiers,
        authorizations: authorizations
            .iter()
            .map(|authorization| authorization.id)
            .collect(),
        profile: profile.name.clone(),
        not_before: wish.not_before,
        not_after: wish.not_after,
        replaces,
        created_at: now,
        expires_at: authorizations
            .iter()
            .map(|authorization| authorization.expires_at)
            // What has ended by then need not be issued.
            .chain(wish.not_after)
            .fold(now + app.policy.order_lifetime, Timestamp::min),
        state: OrderState::Open,
        version: 0,
    };
    let unit = fresh.and(app.store.orders.insert(&order)?);
    let to_prove = to_prove(&authorizations, now);
    app.limits
        .require_attempts(account.id, &to_prove, now)
        .await?;
    let limits = if exempt {
        Vec::new()
    } else {
        limits_of(&order)
    };
    let admission = app.limits.admit(limits, now).await?;
    let deed =
        Deed::new(Act::CreateOrder, format_args!("order/{}", order.id)).with_detail(names(&order));
    let fate = ticket.act(&app, unit, deed).await;
    app.limits.settle(admission, &fate).await;
    fate?;

    let body = order::response(&at.urls, &order, &authorizations, now);
    Ok((
        StatusCode::CREATED,
        [(LOCATION, at.urls.order(order.id))],
        Json(body),
    )
        .into_response())
}

/// All that it is for, in a row.
fn names(order: &Order) -> String {
    let names: Vec<String> = order.identifiers.iter().map(ToString::to_string).collect();
    names.join(" ")
}

/// The names that have yet to be proven.
fn to_prove(authorizations: &[Authorization], now: Timestamp) -> Vec<Identifier> {
    authorizations
        .iter()
        .filter(|authorization| authorization.status(now) == AuthorizationStatus::Pending)
        .map(|authorization| authorization.identifier.clone())
        .collect()
}

/// What an order is counted for. One that replaces a certificate of the same names is for none (RFC 9773 §5): the window in
/// which it comes was given by us.
fn limits_of(order: &Order) -> Vec<LimitKey> {
    let mut keys = LimitKey::domains(&order.authority, &order.identifiers);
    keys.push(LimitKey::account(order.account));
    keys.push(LimitKey::name_set(&order.authority, &order.identifiers));
    keys
}

fn profile_of<'a>(at: &'a AtAuthority, name: Option<&str>) -> Result<&'a Profile, Problem> {
    let parsed: Option<Option<ProfileName>> = name.map(|name| name.parse().ok());
    let found = match parsed {
        None => at.authority.profile(None),
        Some(Some(name)) => at.authority.profile(Some(&name)),
        Some(None) => None,
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = at
            .authority
            .profiles
            .iter()
            .map(|profile| profile.name.as_str())
            .collect();
        let detail = format!(
            "this authority has no such profile; it offers {}",
            names.join(", ")
        );
        Problem::new(ProblemKind::InvalidProfile, detail)
    })
}

/// What is asked for is issued exactly or not at all (RFC 8555 §7.4).
fn check_validity(
    profile: &Profile,
    now: Timestamp,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
) -> Result<(), Problem> {
    let refuse = |detail: String| Err(Problem::new(ProblemKind::Malformed, detail));
    let has_fraction = |at: Timestamp| at.nanosecond() != 0;
    if not_before.is_some_and(has_fraction) || not_after.is_some_and(has_fraction) {
        return refuse(
            "certificates know no parts of a second: notBefore and notAfter are due in whole seconds (RFC 5280 \
             §4.1.2.5)"
                .to_owned(),
        );
    }
    let earliest = now - Duration::seconds(profile.backdate_seconds);
    let lifetime = Duration::seconds(profile.lifetime_seconds);
    if not_before.is_some_and(|start| start < earliest) {
        return refuse(format!(
            "notBefore is earlier than this profile allows: {earliest} at the earliest"
        ));
    }
    if not_before.is_some_and(|start| start > now + lifetime) {
        return refuse(
            "notBefore lies further in the future than the profile's lifetime".to_owned(),
        );
    }
    let Some(end) = not_after else { return Ok(()) };
    let start = not_before.unwrap_or(earliest);
    if end <= start.max(now) {
        return refuse("notAfter has to lie in the future and after notBefore".to_owned());
    }
    if end - start >= lifetime {
        let days = lifetime.whole_hours() / 24;
        return refuse(format!(
            "notAfter asks for more than the profile's lifetime of {days} days"
        ));
    }
    Ok(())
}

/// An authorization for each identifier, in their order: one that still counts, or a new one. And the unit that
/// stores the new ones.
async fn authorizations(
    app: &App,
    at: &AtAuthority,
    account: &Account,
    identifiers: &[Identifier],
    now: Timestamp,
) -> Result<(Vec<Authorization>, Unit), ApiError> {
    let valid = app
        .store
        .authorizations
        .find_valid(&at.authority.name, account.id, identifiers, now + FRESH_FOR)
        .await?;
    let mut unit = Unit::default();
    let mut all = Vec::with_capacity(identifiers.len());
    for identifier in identifiers {
        let known = valid
            .iter()
            .find(|authorization| authorization.identifier == *identifier);
        let authorization = if let Some(authorization) = known {
            authorization.clone()
        } else {
            let fresh = new_authz::pending(app, at, account, identifier.clone(), now);
            unit = unit.and(app.store.authorizations.insert(&fresh)?);
            fresh
        };
        all.push(authorization);
    }
    Ok((all, unit))
}
