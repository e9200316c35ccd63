//! What people were told without having asked.

use axum::Json;
use axum::extract::State;
use certfleet_domain::{Notice, Permission};
use certfleet_management::test_notices;
use certfleet_management::views::NoticeView;
use http::StatusCode;

use super::bearer::Bearer;
use super::body::Asked;
use super::page::{self, Page, PageQuery};
use super::problem::{Problems, RestError};
use crate::app::App;

/// So many are looked at for one answer.
const MOST: i64 = 10_000;

/// List what people were told without having asked, the newest first.
#[utoipa::path(get, operation_id = "list_notices", path = "/notices", tag = "notices", params(PageQuery),
    responses((status = 200, body = Page<NoticeView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<NoticeView>>, RestError> {
    let sight = bearer.sight();
    let found = app.store.notices.last(MOST).await?;
    // The newest first, though keys grow.
    let key = |one: &&Notice| {
        let age = i64::MAX - one.created_at.unix_timestamp();
        format!("{age:020} {}", one.id)
    };
    let seen = found.iter().filter(|one| sight.includes(&one.project));
    let page = page::of(seen, &query, key, |one| NoticeView::from(*one))?;
    Ok(Json(page))
}

/// Have a test told by every channel that the workers have.
#[utoipa::path(post, operation_id = "test_notices", path = "/notices/test", tag = "notices",
    responses((status = 202, body = NoticeView), Problems))]
pub async fn test(
    State(app): State<App>,
    bearer: Bearer,
) -> Result<(StatusCode, Json<NoticeView>), RestError> {
    bearer.require(Permission::Administer, None)?;
    let plan = test_notices(&app.store)?;
    let made = plan.carry_out(&app.store, &bearer.sender).await?;
    Ok((StatusCode::ACCEPTED, Json(NoticeView::from(&made))))
}
