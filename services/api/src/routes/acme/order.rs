//! An order (RFC 8555 §7.4).

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use certfleet_acme::messages::{OrderResponse, OrderUrls};
use certfleet_domain::{Authorization, Order, OrderState, OrderStatus, Timestamp};
use certfleet_jobs::Job;
use http::header::LOCATION;

use super::retry_after;
use crate::app::{App, Enqueued};
use crate::error::ApiError;
use crate::signed::ByAccount;
use crate::urls::Urls;

pub async fn post(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    request: ByAccount,
) -> Result<Response, ApiError> {
    request.jws.expect_post_as_get()?;
    let mut order = find_own(&app, &request, &id).await?;
    if matches!(order.state, OrderState::Processing { .. }) {
        let awaited = app.listen_for(&Job::sign(&order));
        app.await_job(&awaited, Enqueued::Before).await?;
        order = find_own(&app, &request, &id).await?;
    }
    show(&app, &request, &order).await
}

/// The order of this id, if it is the account's own.
pub(super) async fn find_own(app: &App, request: &ByAccount, id: &str) -> Result<Order, ApiError> {
    let none = || ApiError::NotFound("this account has no order of this URL");
    let order = app
        .store
        .orders
        .find(id.parse().map_err(|_| none())?)
        .await?
        .ok_or_else(none)?;
    if order.account == request.account.id {
        Ok(order)
    } else {
        Err(none())
    }
}

/// The answer that shows an order.
pub(super) async fn show(
    app: &App,
    request: &ByAccount,
    order: &Order,
) -> Result<Response, ApiError> {
    // What an order that was finalized once relied on does not matter any more.
    let authorizations = match order.state {
        OrderState::Open => {
            app.store
                .authorizations
                .find_all(&order.authorizations)
                .await?
        }
        OrderState::Processing { .. } | OrderState::Valid { .. } | OrderState::Invalid { .. } => {
            Vec::new()
        }
    };
    let urls = &request.at.urls;
    let body = response(urls, order, &authorizations, app.now());
    let waiting = matches!(body.status, OrderStatus::Processing);
    let mut answer = ([(LOCATION, urls.order(order.id))], Json(body)).into_response();
    if waiting {
        retry_after(app, &mut answer);
    }
    Ok(answer)
}

pub(super) fn response(
    urls: &Urls,
    order: &Order,
    authorizations: &[Authorization],
    now: Timestamp,
) -> OrderResponse {
    let certificate = match order.state {
        OrderState::Valid { certificate } => Some(urls.certificate(certificate)),
        OrderState::Open | OrderState::Processing { .. } | OrderState::Invalid { .. } => None,
    };
    let status = order.status(authorizations, now);
    let urls = OrderUrls {
        authorizations: order
            .authorizations
            .iter()
            .map(|id| urls.authorization(*id))
            .collect(),
        finalize: urls.finalize(order.id),
        certificate,
    };
    OrderResponse::new(order, status, urls)
}
