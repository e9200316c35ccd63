//! The JSON API of `pebble-challtestsrv`, `POST` throughout, and that of lego's `httpreq` provider.
//!
//! `/set-txt {host, value}` (adds), `/clear-txt {host}`, `/add-a` and `/add-aaaa {host, addresses}`, `/clear-a` and
//! `/clear-aaaa {host}`, `/add-caa {host, policies: [{tag, value}]}`, `/clear-caa {host}`, `/set-cname {host, target}`,
//! `/clear-cname {host}`, `/set-servfail {host}`, `/clear-servfail {host}`, `/set-default-ipv4 {ip}`,
//! `/add-http01 {token, content}`, `/del-http01 {token}`, `/add-tlsalpn01 {host, content}`, `/del-tlsalpn01 {host}`,
//! `/add-redirect {path, targetURL}`, `/del-redirect {path}`; `/present` and `/cleanup {fqdn, value}`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde::Deserialize;
use tokio::net::TcpListener;

use super::answers::{Answers, canonical};

pub(super) async fn serve(listener: TcpListener, answers: Arc<Answers>) {
    let router = Router::new()
        .route("/{action}", post(handle))
        .with_state(answers);
    let _ = axum::serve(listener, router).await;
}

/// The fields of all actions.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    host: Option<String>,
    fqdn: Option<String>,
    value: Option<String>,
    addresses: Option<Vec<IpAddr>>,
    policies: Option<Vec<Policy>>,
    target: Option<String>,
    ip: Option<String>,
    token: Option<String>,
    content: Option<String>,
    path: Option<String>,
    #[serde(rename = "targetURL")]
    target_url: Option<String>,
}

#[derive(Deserialize)]
struct Policy {
    tag: String,
    value: String,
}

async fn handle(
    State(answers): State<Arc<Answers>>,
    Path(action): Path<String>,
    // Whatever its Content-Type: `curl -d` sends that of a form.
    body: String,
) -> (StatusCode, String) {
    match serde_json::from_str(&body) {
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
        Ok(fields) => match act(&answers, &action, fields) {
            Ok(()) => (StatusCode::OK, String::new()),
            Err(Refusal::NoSuchAction) => (StatusCode::NOT_FOUND, format!("no action {action}\n")),
            Err(Refusal::Missing(field)) => (
                StatusCode::BAD_REQUEST,
                format!("{field} is missing or wrong\n"),
            ),
        },
    }
}

enum Refusal {
    NoSuchAction,
    Missing(&'static str),
}

fn need<T>(field: Option<T>, name: &'static str) -> Result<T, Refusal> {
    field.ok_or(Refusal::Missing(name))
}

fn act(answers: &Answers, action: &str, fields: Fields) -> Result<(), Refusal> {
    match action {
        "add-http01" => {
            answers.add_http01(
                &need(fields.token, "token")?,
                &need(fields.content, "content")?,
            );
        }
        "del-http01" => answers.remove_http01(&need(fields.token, "token")?),
        "add-redirect" => {
            answers.add_redirect(
                &need(fields.path, "path")?,
                &need(fields.target_url, "targetURL")?,
            );
        }
        "del-redirect" => answers.remove_redirect(&need(fields.path, "path")?),
        "set-default-ipv4" => {
            let ip = need(fields.ip, "ip")?;
            let address = (!ip.is_empty()).then(|| ip.parse()).transpose();
            answers.set_default_ipv4(address.map_err(|_| Refusal::Missing("ip"))?);
        }
        "present" => {
            let value = need(fields.value, "value")?;
            answers.change(&need(fields.fqdn, "fqdn")?, |name| name.txt.push(value));
        }
        "cleanup" => {
            let value = need(fields.value, "value")?;
            answers.change(&need(fields.fqdn, "fqdn")?, |name| {
                name.txt.retain(|text| *text != value);
            });
        }
        _ => return act_on_host(answers, action, fields),
    }
    Ok(())
}

fn act_on_host(answers: &Answers, action: &str, fields: Fields) -> Result<(), Refusal> {
    let host = need(fields.host, "host");
    match action {
        "set-txt" => {
            let value = need(fields.value, "value")?;
            answers.change(&host?, |name| name.txt.push(value));
        }
        "clear-txt" => answers.change(&host?, |name| name.txt.clear()),
        "add-a" | "add-aaaa" => {
            let addresses = need(fields.addresses, "addresses")?;
            answers.change(&host?, |name| name.addresses.extend(addresses));
        }
        "clear-a" => answers.change(&host?, |name| name.addresses.retain(IpAddr::is_ipv6)),
        "clear-aaaa" => answers.change(&host?, |name| name.addresses.retain(IpAddr::is_ipv4)),
        "add-caa" => {
            let policies = need(fields.policies, "policies")?.into_iter();
            answers.change(&host?, |name| {
                name.caa
                    .extend(policies.map(|policy| (policy.tag, policy.value)));
            });
        }
        "clear-caa" => answers.change(&host?, |name| name.caa.clear()),
        "set-cname" => {
            let target = canonical(&need(fields.target, "target")?);
            answers.change(&host?, |name| name.cname = Some(target));
        }
        "clear-cname" => answers.change(&host?, |name| name.cname = None),
        "set-servfail" => answers.change(&host?, |name| name.servfail = true),
        "clear-servfail" => answers.change(&host?, |name| name.servfail = false),
        "add-tlsalpn01" => answers.add_tls_alpn01(&host?, &need(fields.content, "content")?),
        "del-tlsalpn01" => answers.remove_tls_alpn01(&host?),
        _ => return Err(Refusal::NoSuchAction),
    }
    Ok(())
}
