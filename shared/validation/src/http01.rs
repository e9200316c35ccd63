//! http-01 (RFC 8555 §8.3), as Boulder does it: a file under `/.well-known/acme-challenge/` that holds the key
//! authorization.
//!
//! At most ten redirects are followed, of the kinds 301, 302, 307 and 308 (CA/B Baseline Requirements §3.2.2.4.19),
//! to `http` and `https` at the two configured ports; each name is resolved anew and each address checked. Certificates
//! are not verified on the way: who asks has none yet. At most 128 octets of body are looked at.

mod exchange;
mod target;

use certfleet_domain::{Identifier, ProblemKind, Token};
use hyper::StatusCode;
use hyper::header::HeaderValue;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use crate::connect::{Connection, Dialer};
use crate::deadline::Deadline;
use crate::error::ValidationError;
use crate::evidence::{Evidence, HttpHop};
use crate::host::Host;
use crate::quote::quoted;
use crate::tls::{Tls, kind_of};
use exchange::{Answer, get};
use target::{Ports, Target};

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// One http-01 validation.
pub(crate) struct Http01<'a> {
    pub(crate) dialer: &'a Dialer,
    pub(crate) tls: &'a Tls,
    pub(crate) user_agent: &'a HeaderValue,
    pub(crate) http_port: u16,
    pub(crate) https_port: u16,
    pub(crate) deadline: Deadline,
}

impl Http01<'_> {
    /// Fetches the file, and compares it.
    pub(crate) async fn prove(
        &self,
        identifier: &Identifier,
        token: &Token,
        key_authorization: &str,
    ) -> Result<Evidence, ValidationError> {
        let ports = Ports {
            http: self.http_port,
            https: self.https_port,
        };
        let mut target = Target::first(Host::of(identifier), token.as_str(), ports)
            .map_err(|why| ValidationError::failed(ProblemKind::Malformed, why))?;
        let mut hops: Vec<HttpHop> = Vec::new();
        loop {
            let (hop, answer) = self.fetch(&target).await?;
            let seen = format!("{} at {}", target.shown(), hop.address);
            hops.push(hop);
            if !answer.is_redirect() {
                judge(&answer, &seen, key_authorization)?;
                return Ok(Evidence::Http01 { hops });
            }
            target = next(&target, &answer, &hops, ports).map_err(|why| {
                ValidationError::failed(ProblemKind::Connection, format!("{seen}: {why}"))
            })?;
        }
    }

    async fn fetch(&self, target: &Target) -> Result<(HttpHop, Answer), ValidationError> {
        let connection = self
            .dialer
            .connect(&target.host, target.port, self.deadline)
            .await?;
        let Connection {
            stream,
            address,
            resolved,
        } = connection;
        let failed = |kind, why: String| {
            ValidationError::failed(kind, format!("{} at {address}: {why}", target.shown()))
        };
        let answer = self
            .deadline
            .run(self.exchange(target, stream))
            .await
            .map_err(|_| {
                let why =
                    "connected, but no whole answer came in time; the server is slow or stuck";
                failed(ProblemKind::Connection, why.to_owned())
            })?
            .map_err(|(kind, why)| failed(kind, why))?;
        let hop = HttpHop {
            url: target.url.to_string(),
            resolved,
            address,
            status: answer.status.as_u16(),
        };
        Ok((hop, answer))
    }

    async fn exchange(
        &self,
        target: &Target,
        stream: TcpStream,
    ) -> Result<Answer, (ProblemKind, String)> {
        let answer = if target.is_https() {
            let name = server_name(&target.host)?;
            let stream = self
                .tls
                .https
                .connect(name, stream)
                .await
                .map_err(|error| {
                    let why = format!("the TLS handshake failed: {error}");
                    (kind_of(&error), why)
                })?;
            get(stream, target, self.user_agent).await
        } else {
            get(stream, target, self.user_agent).await
        };
        answer.map_err(|why| (ProblemKind::Connection, why))
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, (ProblemKind, String)> {
    match host {
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned()).map_err(|_| {
            let why = format!("{name} cannot be sent as a TLS server name");
            (ProblemKind::Connection, why)
        }),
    }
}

/// Where a redirect leads, or why it is not followed.
fn next(
    target: &Target,
    answer: &Answer,
    hops: &[HttpHop],
    ports: Ports,
) -> Result<Target, String> {
    let status = answer.status;
    let location = answer
        .location
        .as_deref()
        .ok_or_else(|| format!("answered {status} without a Location"))?;
    let next = target
        .redirected(location, ports)
        .map_err(|why| format!("redirects to {}: {why}", quoted(location)))?;
    if hops.len() > MAX_REDIRECTS {
        return Err(format!("is redirect number {}, one too many", hops.len()));
    }
    if hops.iter().any(|hop| hop.url == next.url.as_str()) {
        return Err(format!(
            "redirects back to {}, a loop",
            quoted(next.url.as_str().as_bytes())
        ));
    }
    Ok(next)
}

/// Whether the answer is the key authorization, white space at its end aside.
fn judge(answer: &Answer, seen: &str, key_authorization: &str) -> Result<(), ValidationError> {
    let body = answer.body.trim_ascii_end();
    if answer.status != StatusCode::OK {
        let detail = format!(
            "{seen}: answered {}, where 200 is due; the body begins {}",
            answer.status,
            quoted(body),
        );
        return Err(ValidationError::failed(ProblemKind::Unauthorized, detail));
    }
    if let Some(why) = &answer.broken {
        let detail = format!("{seen}: the body broke off: {why}");
        return Err(ValidationError::failed(ProblemKind::Connection, detail));
    }
    if !answer.longer && body == key_authorization.as_bytes() {
        return Ok(());
    }
    let length = if answer.longer {
        format!(", and is longer than {} octets", exchange::MAX_BODY)
    } else {
        String::new()
    };
    let detail = format!(
        "{seen}: the body has to be \"{key_authorization}\"; it is {}{length}",
        quoted(body),
    );
    Err(ValidationError::failed(
        ProblemKind::IncorrectResponse,
        detail,
    ))
}

#[cfg(test)]
mod tests;
