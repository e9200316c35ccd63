//! Authorities that the fleet has certificates from.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use certfleet_domain::{Budget, Contact, Permission, ProjectName, Rate, Upstream, UpstreamName};
use certfleet_management::views::UpstreamView;
use certfleet_management::{
    NewBinding, NewUpstream, add_upstream, mac_key_from_base64url, remove_upstream,
};
use certfleet_service_kit::settings::{WebUrl, parse_rate};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::bearer::Bearer;
use super::body::{Asked, Named, Object};
use super::keyed::{IfMatch, Wish, tagged};
use super::page::{self, Page, PageQuery};
use super::problem::{Problems, RestError};
use super::schema;
use super::words::Words;
use crate::app::App;

/// The longest roots, in characters.
const LONGEST_ROOTS: usize = 16_384;
/// So many contacts.
const MOST_CONTACTS: usize = 10;

/// An authority that is to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamWish {
    /// Its name in the fleet.
    #[schema(value_type = schema::ShortName)]
    name: UpstreamName,
    /// Whose it is; without it, the project default's.
    #[serde(default)]
    #[schema(value_type = Option<schema::ShortName>)]
    project: Option<ProjectName>,
    /// The URL of its ACME directory.
    #[schema(value_type = schema::DirectoryUrl)]
    directory: String,
    /// The roots that the directory's own certificate leads to, PEM; without it, those that the workers' system trusts.
    #[schema(max_length = 16384)]
    roots: Option<String>,
    /// How the authority reaches you.
    #[serde(default)]
    #[schema(value_type = Vec<schema::MailUrl>, max_items = 10)]
    contacts: Vec<String>,
    /// The profile to order, where the authority has several.
    profile: Option<Words>,
    /// How much of it the fleet may have.
    #[schema(value_type = Option<LimitsWish>)]
    limits: Option<Object<LimitsWish>>,
    /// What binds the fleet's account to one there (RFC 8555, 7.3.4).
    #[schema(value_type = Option<BindingWish>)]
    binding: Option<Object<BindingWish>>,
}

/// Limits that somebody has published.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Those of Let's Encrypt.
    LetsEncrypt,
}

/// How much of an authority the fleet may have: rates; without one, what the preset has, or as much as it likes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsWish {
    /// What somebody has published.
    preset: Option<Preset>,
    /// Orders.
    #[schema(value_type = Option<schema::RateText>)]
    orders: Option<String>,
    /// Orders with a name in one registered domain.
    #[schema(value_type = Option<schema::RateText>)]
    orders_per_domain: Option<String>,
    /// Orders for exactly the same names.
    #[schema(value_type = Option<schema::RateText>)]
    orders_per_name_set: Option<String>,
}

/// A key that binds an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingWish {
    /// The identifier of the key, as the authority gave it.
    kid: Words,
    /// The key, in base64url.
    #[schema(value_type = schema::KeyBase64Url)]
    key: String,
}

fn wrong(field: &str, why: impl std::fmt::Display) -> RestError {
    RestError::Invalid(format!("{field}: {why}; nothing was done"))
}

fn budget(limits: Option<LimitsWish>) -> Result<Budget, RestError> {
    let Some(limits) = limits else {
        return Ok(Budget::default());
    };
    let preset = match limits.preset {
        None => Budget::default(),
        Some(Preset::LetsEncrypt) => Budget::lets_encrypt(),
    };
    let rate = |text: Option<String>, preset, field| -> Result<Option<Rate>, RestError> {
        match text {
            None => Ok(preset),
            Some(text) => parse_rate(&text).map(Some).map_err(|why| wrong(field, why)),
        }
    };
    let (all, each, same) = (
        limits.orders,
        limits.orders_per_domain,
        limits.orders_per_name_set,
    );
    Ok(Budget {
        orders: rate(all, preset.orders, "limits.orders")?,
        orders_per_domain: rate(each, preset.orders_per_domain, "limits.orders_per_domain")?,
        orders_per_name_set: rate(
            same,
            preset.orders_per_name_set,
            "limits.orders_per_name_set",
        )?,
    })
}

impl UpstreamWish {
    fn read(self, app: &App) -> Result<NewUpstream, RestError> {
        let directory: WebUrl = self
            .directory
            .parse()
            .map_err(|why| wrong("directory", why))?;
        if self
            .roots
            .as_ref()
            .is_some_and(|roots| roots.chars().count() > LONGEST_ROOTS)
        {
            return Err(wrong(
                "roots",
                format!("{LONGEST_ROOTS} characters at the most"),
            ));
        }
        if self.contacts.len() > MOST_CONTACTS {
            return Err(wrong("contacts", format!("{MOST_CONTACTS} at the most")));
        }
        let contacts: Result<Vec<Contact>, _> = self
            .contacts
            .iter()
            .map(|url| Contact::parse(url))
            .collect();
        let binding = match self.binding {
            None => None,
            Some(Object(BindingWish { kid, key })) => {
                let key = mac_key_from_base64url(&key);
                // What is wrong with it would tell of it.
                let key = key.ok_or_else(|| wrong("binding.key", "base64url is due"))?;
                let (kid, vault) = (kid.into(), app.vault.clone());
                Some(NewBinding { kid, key, vault })
            }
        };
        Ok(NewUpstream {
            name: self.name,
            project: self.project.unwrap_or_default(),
            directory: directory.as_str().to_owned(),
            roots: self.roots,
            contacts: contacts.map_err(|error| wrong("contacts", error))?,
            profile: self.profile.map(Into::into),
            budget: budget(self.limits.map(|Object(limits)| limits))?,
            binding,
        })
    }
}

/// List the authorities that certificates can be had from.
#[utoipa::path(get, operation_id = "list_upstreams", path = "/upstreams", tag = "upstreams", params(PageQuery),
    responses((status = 200, body = Page<UpstreamView>), Problems))]
pub async fn list(
    State(app): State<App>,
    bearer: Bearer,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<UpstreamView>>, RestError> {
    let sight = bearer.sight();
    let all = app.store.fleet.upstreams().await?;
    let seen = all.iter().filter(|one| sight.includes(&one.project));
    let key = |one: &&Upstream| one.name.to_string();
    let page = page::of(seen, &query, key, |one| UpstreamView::from(*one))?;
    Ok(Json(page))
}

/// Add an authority. A worker makes the fleet's account there when the first certificate is wanted.
#[utoipa::path(post, operation_id = "create_upstream", path = "/upstreams", tag = "upstreams", request_body = UpstreamWish,
    params(("Idempotency-Key" = Option<schema::IdempotencyKey>, Header)),
    responses((status = 201, body = UpstreamView, headers(("Location" = String))), Problems))]
pub async fn create(
    State(app): State<App>,
    bearer: Bearer,
    wish: Wish<UpstreamWish>,
) -> Result<Response, RestError> {
    let (body, once) = wish.split();
    let project = body.project.clone().unwrap_or_default();
    bearer.require(Permission::Administer, Some(&project))?;
    if let Some(before) = once.before(&app, &bearer).await? {
        return Ok(before);
    }
    let plan = add_upstream(&app.store, body.read(&app)?).await?;
    let of = |made: &Upstream| {
        (
            format!("/upstreams/{}", made.name),
            UpstreamView::from(made),
        )
    };
    once.make(&app, &bearer, plan, of).await
}

async fn find(app: &App, bearer: &Bearer, name: &UpstreamName) -> Result<Upstream, RestError> {
    let found = app.store.fleet.upstream(name).await?;
    bearer.sees(found, |one| &one.project, "authority")
}

/// Show an authority.
#[utoipa::path(get, operation_id = "show_upstream", path = "/upstreams/{name}", tag = "upstreams",
    params(("name" = schema::ShortName, Path)),
    responses((status = 200, body = UpstreamView, headers(("ETag" = String))), Problems))]
pub async fn show(
    State(app): State<App>,
    bearer: Bearer,
    Named(name): Named<UpstreamName>,
) -> Result<Response, RestError> {
    let upstream = find(&app, &bearer, &name).await?;
    Ok(tagged(upstream.version, UpstreamView::from(&upstream)))
}

/// Remove an authority that no certificate is to be had from any more, and the key of the fleet's account there.
#[utoipa::path(delete, operation_id = "remove_upstream", path = "/upstreams/{name}", tag = "upstreams",
    params(("name" = schema::ShortName, Path)),
    responses((status = 204, description = "It is no more."), Problems))]
pub async fn remove(
    State(app): State<App>,
    bearer: Bearer,
    Named(name): Named<UpstreamName>,
    meant: IfMatch,
) -> Result<StatusCode, RestError> {
    loop {
        let upstream = find(&app, &bearer, &name).await?;
        bearer.require(Permission::Administer, Some(&upstream.project))?;
        meant.require(upstream.version)?;
        let plan = remove_upstream(&app.store, upstream).await?;
        if meant.attempt(&app, &bearer, plan).await?.is_some() {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
}
