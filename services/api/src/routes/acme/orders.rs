//! An account's orders (RFC 8555 §7.1.2.1), in pages.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use certfleet_acme::messages::OrdersList;
use certfleet_domain::{OrderId, ProblemKind};
use serde::Deserialize;

use super::account::require_own;
use super::link;
use crate::app::App;
use crate::error::ApiError;
use crate::signed::ByAccount;

/// How many orders a page has.
const PAGE: usize = 100;

#[derive(Deserialize)]
pub struct Page {
    after: Option<String>,
}

pub async fn post(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(page): Query<Page>,
    request: ByAccount,
) -> Result<Response, ApiError> {
    let ByAccount {
        at, account, jws, ..
    } = request;
    jws.expect_post_as_get()?;
    require_own(&account, &id)?;
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
    let orders = page.ids.iter().map(|id| at.urls.order(*id)).collect();
    let mut response = Json(OrdersList { orders }).into_response();
    if let Some(last) = page.ids.last()
        && page.more
    {
        link(
            &mut response,
            &at.urls.orders_after(account.id, *last),
            "next",
        );
    }
    Ok(response)
}
