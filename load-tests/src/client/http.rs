//! One HTTP/1.1 connection per origin, kept alive, driven by hyper directly.
//!
//! A pool, redirects and cookies are not needed here, and every microsecond the client takes is taken from the
//! server on the same cores.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use certfleet_tls_probe::Anyone;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const AGENT: &str = concat!("certfleet-load-tests/", env!("CARGO_PKG_VERSION"));
const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");
/// Longest answer that is read, in octets: far above any ACME object.
const LONGEST_ANSWER: usize = 1 << 20;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How far the client may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This machine only: a load program must not find its way to somebody's CA by a wrong URL.
    Loopback,
    /// Any address.
    Anywhere,
}

/// The connections of one client.
pub(crate) struct Transport {
    tls: Arc<ClientConfig>,
    reach: Reach,
    connections: HashMap<String, SendRequest<String>>,
    /// Connections opened since this was last looked at.
    opened: u64,
}

/// An answer, reduced to what an ACME client looks at.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) nonce: Option<String>,
    pub(crate) location: Option<String>,
    /// In whole seconds; the date form is not used by ACME servers and counts as absent.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

impl Transport {
    pub(crate) fn new(tls: Arc<ClientConfig>, reach: Reach) -> Self {
        Self {
            tls,
            reach,
            connections: HashMap::new(),
            opened: 0,
        }
    }

    /// Sends one request and reads its whole answer. `body` makes it a POST of a JWS. After an error the
    /// connection is gone, and the next request opens another.
    pub(crate) async fn send(&mut self, method: Method, url: &str, body: String) -> Result<Answer> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
        let origin = origin(&uri)?;
        let mut sender = match self.connections.remove(&origin) {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.connect(&uri).await?,
        };
        let request = build(&method, &uri, body)?;
        let exchange = async {
            sender.ready().await?;
            read(sender.send_request(request).await?).await
        };
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, exchange)
            .await
            .with_context(|| format!("no answer in {} s", REQUEST_TIMEOUT.as_secs()))??;
        self.connections.insert(origin, sender);
        Ok(answer)
    }

    /// Connections opened since the last call.
    pub(crate) fn take_opened(&mut self) -> u64 {
        std::mem::take(&mut self.opened)
    }

    /// Forgets every connection, so that the next request opens a new one.
    pub(crate) fn reset(&mut self) {
        self.connections.clear();
    }

    async fn connect(&mut self, uri: &Uri) -> Result<SendRequest<String>> {
        let host = uri.host().context("the URL has no host")?;
        let tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let address = self.resolve(host, port).await?;
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("no connection to {address}"))?;
        stream.set_nodelay(true)?;
        self.opened += 1;
        if !tls {
            return start(stream).await;
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())?;
        let stream = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, stream)
            .await
            .with_context(|| format!("no TLS session with {host}"))?;
        start(stream).await
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut addresses = tokio::net::lookup_host((host, port))
            .await
            .with_context(|| format!("{host} has no address"))?;
        let allowed = |a: &SocketAddr| self.reach == Reach::Anywhere || a.ip().is_loopback();
        addresses.find(allowed).with_context(|| {
            format!("{host} is not on this machine; --allow-remote says that load may go there")
        })
    }
}

fn origin(uri: &Uri) -> Result<String> {
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => {
            Ok(format!("{scheme}://{authority}"))
        }
        _ => bail!("{uri} is neither http nor https"),
    }
}

fn build(method: &Method, uri: &Uri, body: String) -> Result<Request<String>> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().context("the URL has no host")?.as_str();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, AGENT);
    if *method == Method::POST {
        request = request.header(CONTENT_TYPE, "application/jose+json");
    }
    Ok(request.body(body)?)
}

async fn start<S>(stream: S) -> Result<SendRequest<String>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its error reaches the caller through `sender`.
    tokio::spawn(connection);
    Ok(sender)
}

async fn read(response: http::Response<hyper::body::Incoming>) -> Result<Answer> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER)
        .collect()
        .await
        .map_err(|e| anyhow::anyhow!("the answer broke off: {e}"))?
        .to_bytes();
    let text = |name| header(&head.headers, name);
    Ok(Answer {
        status: head.status,
        nonce: text(&REPLAY_NONCE),
        location: text(&LOCATION),
        retry_after: text(&RETRY_AFTER)
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs),
        body,
    })
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The TLS settings for servers whose certificates chain to `roots` (PEM), or for any certificate at all.
pub(crate) fn tls(roots: Option<&[u8]>) -> Result<Arc<ClientConfig>> {
    use rustls_pki_types::pem::PemObject as _;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let Some(pem) = roots else {
        // Signatures are still checked, so that the handshake costs what it costs with a known root.
        let verifier = Arc::new(Anyone::new(&provider));
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let mut store = rustls::RootCertStore::empty();
    for certificate in rustls_pki_types::CertificateDer::pem_slice_iter(pem) {
        store.add(certificate?)?;
    }
    ensure!(!store.is_empty(), "the root file holds no certificate");
    let config = builder.with_root_certificates(store).with_no_client_auth();
    Ok(Arc::new(config))
}
