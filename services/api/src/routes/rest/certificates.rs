//! Managed certificates.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use certfleet_domain::{
    Identifier, Managed, ManagedId, Permission, ProjectName, Sight, TargetName, Timestamp,
    UpstreamName,
};
use certfleet_management::views::CertificateView;
use certfleet_management::{
    CertificateChange, NewCertificate, add_certificate, change_certificate, remove_certificate,
    renew_certificate,
};
use certfleet_storage::Which;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::bearer::Bearer;
use super::body::{Asked, Body, Named};
use super::keyed::{IfMatch, Wish, tagged};
use super::page::{self, Page, from_cursor, no_page, to_cursor};
use super::problem::{Problems, RestError};
use super::schema;
use crate::app::App;

/// Which certificates: those of which all of this holds.
///
/// With `name`, they come in the order of their names; with `expires_before`, what expires first comes first; else in the order in
/// which they were added.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CertificateQuery {
    /// Of this project.
    #[param(value_type = Option<schema::ShortName>)]
    project: Option<ProjectName>,
    /// With this name, or one below it; or exactly this wildcard or IP address.
    #[param(value_type = Option<schema::NameSearch>)]
    name: Option<NameSearch>,
    /// To be had from this authority.
    #[param(value_type = Option<schema::ShortName>)]
    upstream: Option<UpstreamName>,
    /// That have failed since they were had last.
    failing: Option<bool>,
    /// That are not valid any more at this moment.
    #[param(value_type = Option<schema::Moment>)]
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_before: Option<Timestamp>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// Where the page begins: the `next` of the page before.
    #[param(value_type = Option<schema::Cursor>)]
    cursor: Option<String>,
}

/// Text that names of certificates are searched by.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct NameSearch(String);

impl TryFrom<String> for NameSearch {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || b".:*-".contains(&octet);
        if (1..=253).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text))
        } else {
            Err("a DNS name, a wildcard or an IP address is due")
        }
    }
}

impl NameSearch {
    fn identifier(&self) -> Option<Identifier> {
        self.0.parse().ok()
    }
}

/// A certificate that is to be had.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateWish {
    /// Whose it is; without it, the project default's.
    #[schema(value_type = Option<schema::ShortName>)]
    project: Option<ProjectName>,
    /// Its names; by the first it is called where it goes.
    #[schema(value_type = Vec<schema::CertifiedName>, min_items = 1, max_items = 100)]
    names: Vec<Identifier>,
    /// From whom, in order of preference: the next is asked when it would expire first.
    #[schema(value_type = BTreeSet<schema::ShortName>, min_items = 1, max_items = 10)]
    upstreams: Vec<UpstreamName>,
    /// Where to deliver it, each time that it is renewed.
    #[serde(default)]
    #[schema(value_type = BTreeSet<schema::ShortName>, max_items = 100)]
    targets: Vec<TargetName>,
}

/// What is to be changed of a certificate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeWish {
    /// It is to have these names, and is renewed for that.
    #[schema(value_type = Option<Vec<schema::CertifiedName>>, min_items = 1, max_items = 100)]
    names: Option<Vec<Identifier>>,
    /// It is to be had from these from now on, in order of preference.
    #[schema(value_type = Option<BTreeSet<schema::ShortName>>, min_items = 1, max_items = 10)]
    upstreams: Option<Vec<UpstreamName>>,
}

/// What the bearer gets to see of what was asked for.
async fn which(app: &App, bearer: &Bearer, query: &CertificateQuery) -> Result<Which, RestError> {
    let sight = match &query.project {
        None => bearer.sight(),
        Some(project) => {
            let found = app.store.access.project(project).await?;
            let project = bearer.sees(found, |project| &project.name, "project")?;
            Sight::Of([project.name].into())
        }
    };
    Ok(Which {
        sight,
        upstream: query.upstream.clone(),
        failing: query.failing.unwrap_or_default(),
        expires_before: query.expires_before,
    })
}

/// A page of them, and of each where the page behind it begins.
async fn some(
    app: &App,
    which: &Which,
    query: &CertificateQuery,
    most: i64,
) -> Result<Vec<(Managed, String)>, RestError> {
    let inventory = &app.store.inventory;
    let after = query.cursor.as_deref().map(from_cursor).transpose()?;
    // Each order has cursors of its own.
    let split = |text: &str| {
        let (first, id) = text.rsplit_once(' ')?;
        Some((first.to_owned(), id.parse::<ManagedId>().ok()?))
    };
    let after = after
        .map(|text| split(&text).ok_or_else(no_page))
        .transpose()?;
    if let Some(name) = &query.name {
        // What can be no name is none that a certificate has.
        let Some(name) = name.identifier() else {
            return Ok(Vec::new());
        };
        let after = after.as_ref().map(|(key, id)| (key.as_str(), *id));
        let found = inventory.named(&name, which, after, most).await?;
        let found = found.into_iter().map(|(key, managed)| {
            let at = format!("{key} {}", managed.id);
            (managed, at)
        });
        return Ok(found.collect());
    }
    if query.expires_before.is_some() {
        let moment = |(at, id): (String, ManagedId)| {
            let at: i64 = at.parse().map_err(|_| no_page())?;
            let at = Timestamp::from_unix_timestamp_nanos(i128::from(at) * 1_000_000);
            Ok::<_, RestError>((at.map_err(|_| no_page())?, id))
        };
        let after = after.map(moment).transpose()?;
        let found = inventory.expiring(which, after, most).await?;
        let found = found.into_iter().map(|managed| {
            let end = managed.current.as_ref().map(|current| current.not_after);
            let end = end.map_or(0, |end| end.unix_timestamp_nanos() / 1_000_000);
            let at = format!("{end} {}", managed.id);
            (managed, at)
        });
        return Ok(found.collect());
    }
    let after = after.map(|(_, id)| id);
    let found = inventory.added(which, after, most).await?;
    let found = found.into_iter().map(|managed| {
        let at = format!("- {}", managed.id);
        (managed, at)
    });
    Ok(found.collect())
}

/// List managed certificates.
#[utoipa::path(get, operation_id = "list_certificates", path = "/certificates", tag = "certificates", params(CertificateQuery),
    responses((status = 200, body = Page<CertificateView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Asked(query): Asked<CertificateQuery>,
) -> Result<Json<Page<CertificateView>>, RestError> {
    let limit = page::limit(query.limit)?;
    let which = which(&app, &bearer, &query).await?;
    let most = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut found = some(&app, &which, &query, most).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|(_, at)| to_cursor(at));
    let now = app.now();
    let items = found
        .iter()
        .map(|(managed, _)| CertificateView::of(managed, now));
    Ok(Json(Page {
        items: items.collect(),
        next,
    }))
}

/// Have a certificate from now on, and keep it renewed.
#[utoipa::path(post, operation_id = "create_certificate", path = "/certificates", tag = "certificates", request_body = CertificateWish,
    params(("Idempotency-Key" = Option<schema::IdempotencyKey>, Header)),
    responses((status = 201, body = CertificateView, headers(("Location" = String))), Problems))]
pub async fn create(
    State(app): State<App>,
    bearer: Bearer,
    wish: Wish<CertificateWish>,
) -> Result<Response, RestError> {
    let (body, once) = wish.split();
    let project = body.project.unwrap_or_default();
    bearer.require(Permission::Operate, Some(&project))?;
    if let Some(before) = once.before(&app, &bearer).await? {
        return Ok(before);
    }
    let wish = NewCertificate {
        project,
        names: body.names,
        upstreams: body.upstreams,
        targets: body.targets,
    };
    let plan = add_certificate(&app.store, wish).await?;
    let now = app.now();
    let of = |made: &Managed| {
        let view = CertificateView::of(made, now);
        (format!("/certificates/{}", made.id), view)
    };
    once.make(&app, &bearer, plan, of).await
}

/// The certificate of this id, if the bearer gets to see it.
pub async fn find(app: &App, bearer: &Bearer, id: ManagedId) -> Result<Managed, RestError> {
    let found = app.store.fleet.managed(id).await?;
    bearer.sees(found, |managed| &managed.project, "certificate")
}

/// Show a managed certificate.
#[utoipa::path(get, operation_id = "show_certificate", path = "/certificates/{id}", tag = "certificates",
    params(("id" = schema::Id, Path)),
    responses((status = 200, body = CertificateView, headers(("ETag" = String))), Problems))]
pub async fn show(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<ManagedId>,
) -> Result<Response, RestError> {
    let managed = find(&app, &bearer, id).await?;
    Ok(tagged(
        managed.version,
        CertificateView::of(&managed, app.now()),
    ))
}

/// Have other names in it, or have it from somebody else. With `If-Match`, only if nobody has
/// changed it meanwhile; a worker's steps are such changes.
#[utoipa::path(patch, operation_id = "change_certificate", path = "/certificates/{id}", tag = "certificates", request_body = ChangeWish,
    params(("id" = schema::Id, Path)),
    responses((status = 200, body = CertificateView, headers(("ETag" = String))), Problems))]
pub async fn change(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<ManagedId>,
    meant: IfMatch,
    Body(wish): Body<ChangeWish>,
) -> Result<Response, RestError> {
    loop {
        let managed = find(&app, &bearer, id).await?;
        bearer.require(Permission::Operate, Some(&managed.project))?;
        meant.require(managed.version)?;
        let change = CertificateChange {
            names: wish.names.clone(),
            upstreams: wish.upstreams.clone(),
        };
        let plan = change_certificate(&app.store, managed, change).await?;
        if let Some(changed) = meant.attempt(&app, &bearer, plan).await? {
            let view = CertificateView::of(&changed, app.now());
            return Ok(tagged(changed.version + 1, view));
        }
    }
}

/// Keep it no more: no renewals, no deliveries, and its keys are destroyed. It is not revoked.
#[utoipa::path(delete, operation_id = "remove_certificate", path = "/certificates/{id}", tag = "certificates",
    params(("id" = schema::Id, Path)),
    responses((status = 204, description = "It is kept no more."), Problems))]
pub async fn remove(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<ManagedId>,
    meant: IfMatch,
) -> Result<StatusCode, RestError> {
    loop {
        let managed = find(&app, &bearer, id).await?;
        bearer.require(Permission::Operate, Some(&managed.project))?;
        meant.require(managed.version)?;
        let plan = remove_certificate(&app.store, managed).await?;
        if meant.attempt(&app, &bearer, plan).await?.is_some() {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}

/// Renew it now, be it due or not. Asked for again before it has come, it is one renewal.
#[utoipa::path(post, operation_id = "renew_certificate", path = "/certificates/{id}/renew", tag = "certificates",
    params(("id" = schema::Id, Path)),
    responses((status = 202, body = CertificateView), Problems))]
pub async fn renew(
    State(app): State<App>,
    bearer: Bearer,
    Named(id): Named<ManagedId>,
) -> Result<(StatusCode, Json<CertificateView>), RestError> {
    let managed = find(&app, &bearer, id).await?;
    bearer.require(Permission::Operate, Some(&managed.project))?;
    let forced = renew_certificate(&app.store, &bearer.sender, id).await?;
    let view = CertificateView::of(&forced, app.now());
    Ok((StatusCode::ACCEPTED, Json(view)))
}
