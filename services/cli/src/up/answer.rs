//! Answering the challenge of the start's own certificate: http-01 (RFC 8555 §8.3) or tls-alpn-01 (RFC 8737).

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Context as _;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use instant_acme::KeyAuthorization;
use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::demonstrate::ADDRESS;
use super::ports::Answer;

/// The ALPN protocol of tls-alpn-01 (RFC 8737 §6.2).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// Answers for as long as it is not dropped.
pub async fn answer(
    on: &Answer,
    token: &str,
    authorization: &KeyAuthorization,
) -> anyhow::Result<Infallible> {
    match on {
        Answer::Http01(listener) => http01(listener, token, authorization).await,
        Answer::TlsAlpn01(listener) => tls_alpn01(listener, authorization).await,
    }
}

async fn http01(
    listener: &TcpListener,
    token: &str,
    authorization: &KeyAuthorization,
) -> anyhow::Result<Infallible> {
    let path: Arc<str> = format!("/.well-known/acme-challenge/{token}").into();
    let content: Arc<str> = authorization.as_str().into();
    loop {
        let (stream, _) = listener.accept().await.context("the http-01 port")?;
        let (path, content) = (Arc::clone(&path), Arc::clone(&content));
        let service = service_fn(move |request: Request<Incoming>| {
            let found = request.uri().path() == &*path;
            let mut response = Response::new(if found {
                content.to_string()
            } else {
                String::new()
            });
            if !found {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
            async move { Ok::<_, Infallible>(response) }
        });
        // Whoever breaks off a connection here is told of it by the validation.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn tls_alpn01(
    listener: &TcpListener,
    authorization: &KeyAuthorization,
) -> anyhow::Result<Infallible> {
    let acceptor = TlsAcceptor::from(Arc::new(tls_config(authorization.digest().as_ref())?));
    loop {
        let (stream, _) = listener.accept().await.context("the tls-alpn-01 port")?;
        // The handshake is all there is to it (RFC 8737 §3).
        tokio::spawn(acceptor.accept(stream));
    }
}

fn tls_config(digest: &[u8]) -> anyhow::Result<ServerConfig> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress(ADDRESS)];
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let key = any_supported_type(&key)?;
    // Not `with_single_cert`, which looks into the certificate and knows no critical acmeIdentifier.
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    Ok(config)
}
