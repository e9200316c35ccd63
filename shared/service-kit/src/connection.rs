//! One connection: its limits, and how it ends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::tls::PeerCertificates;

/// The longest a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The longest until a new connection's first request is there with all its headers.
const FIRST_REQUEST: Duration = Duration::from_secs(15);

/// The longest until a further request is there, counted from the last answer. Longer than proxies
/// commonly keep their own idle connections (60 s), so that it is they who close them.
const NEXT_REQUEST: Duration = Duration::from_secs(75);

/// The most bytes of a request's headers.
const HEADERS: usize = 32 * 1024;

/// The most requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// How connections learn that they are to end.
#[derive(Clone)]
pub(crate) struct Stop {
    /// Finish.
    pub(crate) shutdown: CancellationToken,
    /// End at once.
    pub(crate) cut: CancellationToken,
    /// How long connections go on as before once the shutdown has begun.
    pub(crate) linger: Duration,
}

/// One connection, before it is served.
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) router: Router,
    pub(crate) stop: Stop,
}

impl Connection {
    /// Serves the connection to its end.
    pub(crate) async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Answers are written whole; waiting to fill a packet only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(peer = %self.peer, %error, "connection lost");
            return;
        }
        let Some(tls) = tls else {
            return self.serve_http(stream, None).await;
        };
        let shaken = tokio::select! {
            () = self.stop.cut.cancelled() => return,
            shaken = timeout(HANDSHAKE, tls.accept(stream)) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates();
                let shown = shown.map(PeerCertificates::of);
                self.serve_http(stream, shown).await;
            }
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    async fn serve_http(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        certificates: Option<PeerCertificates>,
    ) {
        let Self { peer, router, stop } = self;
        let asked = Arc::new(AtomicBool::new(false));
        let handler = Handler {
            peer,
            certificates,
            router,
            asked: Arc::clone(&asked),
            shutdown: stop.shutdown.clone(),
        };
        let service = service_fn(move |request| handler.clone().handle(request));
        let builder = builder();
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut patience = pin!(sleep(FIRST_REQUEST));
        let mut linger = pin!(sleep(stop.linger));
        let (mut waiting, mut lingering, mut closing) = (true, false, false);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "connection lost");
                    }
                    return;
                }
                () = stop.cut.cancelled() => return,
                () = &mut patience, if waiting => {
                    waiting = false;
                    if !asked.load(Ordering::Acquire) {
                        tracing::debug!(%peer, "connection closed: it asked nothing");
                        return;
                    }
                }
                () = stop.shutdown.cancelled(), if !lingering => {
                    lingering = true;
                    linger.as_mut().reset(Instant::now() + stop.linger);
                }
                () = &mut linger, if lingering && !closing => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_REQUEST)
        .max_headers(100)
        .max_buf_size(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(32 * 1024);
    builder
}

/// Answers a connection's requests.
#[derive(Clone)]
struct Handler {
    peer: SocketAddr,
    certificates: Option<PeerCertificates>,
    router: Router,
    asked: Arc<AtomicBool>,
    shutdown: CancellationToken,
}

impl Handler {
    async fn handle(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        self.asked.store(true, Ordering::Release);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        if let Some(certificates) = self.certificates {
            request.extensions_mut().insert(certificates);
        }
        // HTTP/2 has no such header (RFC 9113 §8.2.2).
        let http1 = request.version() <= Version::HTTP_11;
        let mut response = self.router.oneshot(request).await?;
        if http1 && self.shutdown.is_cancelled() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Ok(response)
    }
}
