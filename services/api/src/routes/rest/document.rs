//! The OpenAPI document.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, ServerBuilder};

use super::{BASE, schema};
use crate::app::App;

const SCHEME: &str = "token";

/// The document, of what the handlers say of themselves.
pub fn of(mut described: OpenApi, url: &str) -> String {
    described.info = InfoBuilder::new()
        .title("certfleet")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The fleet for people and programs: whom certificates are had from, which, where they go and where they are served. \
             Whoever asks shows a token (`certfleet token create`). What is wrong is told by RFC 9457. PATCH and DELETE take `If-Match` \
             with the `ETag` of what is meant, and then change nothing that somebody else has changed meanwhile (412).",
        ))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    let server = ServerBuilder::new().url(format!("{url}{BASE}")).build();
    described.servers = Some(vec![server]);
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("cft_<id>_<secret>")
        .build();
    let components = described.components.get_or_insert_default();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
    // What only parameters are made of is not gathered with the bodies.
    components.schemas.extend(schema::of_parameters());
    let none: [&str; 0] = [];
    described.security = Some(vec![SecurityRequirement::new(SCHEME, none)]);
    described.to_json().unwrap_or_default()
}

/// Where it is. Whoever is to ask for a token has to be able to read it, so that it takes none.
pub fn route(document: String) -> Router<App> {
    let serve = move || {
        let document = document.clone();
        async move {
            let kind = HeaderValue::from_static("application/json");
            ([(CONTENT_TYPE, kind)], document).into_response()
        }
    };
    Router::new().route("/openapi.json", get(serve))
}
