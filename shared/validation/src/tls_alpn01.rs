//! tls-alpn-01 (RFC 8737; for IP addresses RFC 8738 §6): a TLS server that speaks `acme-tls/1` and shows a
//! certificate with the digest of the key authorization.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use certfleet_domain::{Identifier, ProblemKind};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;

use crate::acme_certificate;
use crate::connect::{Connection, Dialer};
use crate::deadline::Deadline;
use crate::error::ValidationError;
use crate::evidence::Evidence;
use crate::host::Host;
use crate::quote::quoted;
use crate::tls::{ACME_TLS, Tls, kind_of};

/// Connects, and looks at the certificate.
pub(crate) async fn prove(
    dialer: &Dialer,
    tls: &Tls,
    port: u16,
    identifier: &Identifier,
    key_authorization: &str,
    deadline: Deadline,
) -> Result<Evidence, ValidationError> {
    let server_name = server_name(identifier)?;
    let connection = dialer
        .connect(&Host::of(identifier), port, deadline)
        .await?;
    let Connection {
        stream,
        address,
        resolved,
    } = connection;
    let seen = || format!("TLS with {address} for {identifier}");
    let certificate = deadline
        .run(handshake(tls, server_name, stream))
        .await
        .map_err(|_| {
            let detail = format!("{}: the handshake was not done in time", seen());
            ValidationError::failed(ProblemKind::Connection, detail)
        })?
        .map_err(|(kind, why)| ValidationError::failed(kind, format!("{}: {why}", seen())))?;
    let expected = digest(&SHA256, key_authorization.as_bytes());
    acme_certificate::check(&certificate, identifier, expected.as_ref()).map_err(|why| {
        let detail = format!("{}: the certificate {why}", seen());
        ValidationError::failed(ProblemKind::IncorrectResponse, detail)
    })?;
    Ok(Evidence::TlsAlpn01 { resolved, address })
}

/// The certificate that the server shows when asked for this name and `acme-tls/1`.
async fn handshake(
    tls: &Tls,
    server_name: ServerName<'static>,
    stream: TcpStream,
) -> Result<CertificateDer<'static>, (ProblemKind, String)> {
    let stream = tls
        .acme
        .connect(server_name, stream)
        .await
        .map_err(|error| (kind_of(&error), format!("the handshake failed: {error}")))?;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(ACME_TLS) {
        let chosen = session
            .alpn_protocol()
            .map_or_else(|| "none".to_owned(), quoted);
        let why = format!(
            "the server chose the protocol {chosen}, where \"acme-tls/1\" is due; it is not set up for tls-alpn-01"
        );
        return Err((ProblemKind::Unauthorized, why));
    }
    session
        .peer_certificates()
        .and_then(<[_]>::first)
        .map(|certificate| certificate.clone().into_owned())
        .ok_or_else(|| {
            let why = "the server showed no certificate".to_owned();
            (ProblemKind::Unauthorized, why)
        })
}

/// What the server is asked for: the name, or the reverse-mapping name of the address.
fn server_name(identifier: &Identifier) -> Result<ServerName<'static>, ValidationError> {
    let name = match identifier {
        Identifier::Dns(name) | Identifier::Wildcard(name) => name.as_str().to_owned(),
        Identifier::Ip(address) => reverse_name(*address),
    };
    ServerName::try_from(name).map_err(|_| {
        let detail = format!("{identifier} cannot be sent as a TLS server name");
        ValidationError::failed(ProblemKind::Malformed, detail)
    })
}

/// `1.2.0.192.in-addr.arpa`, or the nibbles under `ip6.arpa` (RFC 1034 §5.2.1, RFC 3596 §2.5).
fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let nibbles: Vec<String> = octets
                .iter()
                .rev()
                .map(|octet| format!("{:x}.{:x}", octet & 0xf, octet >> 4))
                .collect();
            format!("{}.ip6.arpa", nibbles.join("."))
        }
    }
}

#[cfg(test)]
mod tests;
