//! An account's orders (RFC 8555 §7.1.2.1), in pages.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use certfleet_acme::messages::OrdersList;
use certfleet_domain::{AuthorizationId, OrderId, OrderState, OrderStatus, ProblemKind};
use serde::Deserialize;

use super::account::require_own;
use super::link;
use crate::app::App;
use crate::error::ApiError;
use crate::signed::ByAccount;

/// How many orders are looked at for a page; those that have failed are not in it.
const PAGE: usize = 100;

#[derive(Deserialize)]
pub struct Page {
    after: Option<String>,
}

pub async fn post(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    page: Result<Query<Page>, QueryRejection>,
    request: ByAccount,
) -> Result<Response, ApiError> {
    let ByAccount {
        at, account, jws, ..
    } = request;
    jws.expect_post_as_get()?;
    require_own(&account, &id)?;
    let Query(page) =
        page.map_err(|error| ApiError::new(ProblemKind::Malformed, format!("the query: {error}")))?;
    let after: Option<OrderId> =
        page.after
            .map(|text| text.parse())
            .transpose()
            .map_err(|error| {
                ApiError::new(
                    ProblemKind::Malformed,
                    format!("the query parameter \"after\" is {error}"),
                )
            })?;
    let page = app.store.orders.page(account.id, after, PAGE).await?;
    // What has failed is of no use to its client (§7.1.2.1).
    let open = page
        .orders
        .iter()
        .filter(|order| order.state == OrderState::Open);
    let ids: Vec<AuthorizationId> = open
        .flat_map(|order| order.authorizations.iter().copied())
        .collect();
    let authorizations = app.store.authorizations.find_all(&ids).await?;
    let now = app.now();
    let orders = page
        .orders
        .iter()
        .filter(|order| order.status(&authorizations, now) != OrderStatus::Invalid)
        .map(|order| at.urls.order(order.id))
        .collect();
    let mut response = Json(OrdersList { orders }).into_response();
    if let Some(last) = page.orders.last()
        && page.more
    {
        link(
            &mut response,
            &at.urls.orders_after(account.id, last.id),
            "next",
        );
    }
    Ok(response)
}
