//! The REST API, `/api/v1`: the fleet for people and programs (ADM-1). One file per resource.
//!
//! Each handler says what it takes and answers in the attribute above it; the router and the OpenAPI document are made of the same,
//! so that they cannot differ. What is done is done by `certfleet-management`, as on the command line.

mod agents;
mod bearer;
mod body;
mod certificates;
mod discoveries;
mod document;
mod guard;
mod keyed;
mod notices;
mod page;
mod problem;
mod projects;
mod schema;
mod solvers;
mod targets;
mod tokens;
mod upstreams;
mod versions;
mod watches;
mod words;

use std::time::Duration;

use axum::Router;
use axum::middleware;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub use bearer::TokenUses;

/// Where it is.
pub const BASE: &str = "/api/v1";

/// All of it. No request takes longer than `ceiling`.
pub fn router(app: &App, ceiling: Duration) -> Router<App> {
    let (resources, described) = resources().split_for_parts();
    let described = document::of(described, app.url.base());
    let router = resources
        .merge(document::route(described))
        .method_not_allowed_fallback(guard::method_not_allowed)
        .fallback(guard::nothing_here)
        .layer(middleware::from_fn(move |request, next| {
            guard::within(ceiling, request, next)
        }))
        .layer(middleware::from_fn_with_state(app.clone(), guard::guarded));
    Router::new().nest(BASE, router)
}

fn resources() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::show, projects::remove))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::show, tokens::revoke))
        .routes(routes!(upstreams::list, upstreams::create))
        .routes(routes!(upstreams::show, upstreams::remove))
        .routes(routes!(solvers::list, solvers::create))
        .routes(routes!(solvers::show, solvers::remove))
        .routes(routes!(agents::list, agents::invite))
        .routes(routes!(agents::show, agents::remove))
        .routes(routes!(targets::list, targets::create))
        .routes(routes!(targets::show, targets::remove))
        .routes(routes!(certificates::list, certificates::create))
        .routes(routes!(
            certificates::show,
            certificates::change,
            certificates::remove
        ))
        .routes(routes!(certificates::renew))
        .routes(routes!(versions::list))
        .routes(routes!(versions::chain))
        .routes(routes!(targets::placements, targets::place))
        .routes(routes!(watches::list, watches::create))
        .routes(routes!(watches::remove))
        .routes(routes!(watches::findings))
        .routes(routes!(discoveries::list, discoveries::create))
        .routes(routes!(discoveries::show, discoveries::remove))
        .routes(routes!(discoveries::adopt))
        .routes(routes!(notices::list))
        .routes(routes!(notices::test))
}
