use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Version};
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey as Generated, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::listener::bind;
use crate::test_client::{Running, free_port};

struct Pair {
    chain: String,
    key: String,
    der: CertificateDer<'static>,
}

fn pair() -> Pair {
    let Generated { cert, signing_key } =
        generate_simple_self_signed(["acme.test".to_owned()]).unwrap();
    Pair {
        chain: cert.pem(),
        key: signing_key.serialize_pem(),
        der: cert.der().clone(),
    }
}

fn set(slot: &CertificateSlot, pair: &Pair) {
    slot.set_pem(pair.chain.as_bytes(), pair.key.as_bytes())
        .unwrap();
}

async fn handshake(
    address: SocketAddr,
    trusted: &Pair,
    alpn: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let name = ServerName::try_from("acme.test").unwrap();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

fn serve(slot: &CertificateSlot) -> Running {
    let version = |request: Request<Body>| async move { format!("{:?}", request.version()) };
    let router = Router::new().route("/", get(version));
    let listener = bind(free_port(), false).unwrap();
    let config = server_config(slot).unwrap();
    Running::start(listener, router, Some(config), Duration::from_secs(20))
}

#[tokio::test]
async fn a_certificate_is_exchanged_while_connections_are_served() {
    let (first, second) = (pair(), pair());
    let slot = CertificateSlot::default();
    let server = serve(&slot);
    assert!(
        handshake(server.address, &first, "h2").await.is_err(),
        "the slot is empty"
    );

    set(&slot, &first);
    let old = handshake(server.address, &first, "http/1.1").await.unwrap();
    assert_eq!(old.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));

    set(&slot, &second);
    assert!(handshake(server.address, &first, "h2").await.is_err());
    let new = handshake(server.address, &second, "h2").await.unwrap();
    assert_eq!(new.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn http2_requests_in_flight_survive_the_drain() {
    let pair = pair();
    let slot = CertificateSlot::default();
    set(&slot, &pair);
    let server = serve(&slot);
    let stream = handshake(server.address, &pair, "h2").await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = || {
        Request::get("https://acme.test/")
            .body(Body::empty())
            .unwrap()
    };

    let answer = client.send_request(request()).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    server.shutdown.cancel();
    // Before the GOAWAY, requests are served as ever.
    let answer = client.send_request(request()).await.unwrap();
    let body = axum::body::to_bytes(Body::new(answer.into_body()), 100)
        .await
        .unwrap();
    assert_eq!(body, "HTTP/2.0");
    // Then the client is told to go, without an error.
    connection.await.unwrap().unwrap();
    assert_eq!(server.ended.await.unwrap(), 0);
}

#[test]
fn what_cannot_be_served_leaves_what_is() {
    let (good, other) = (pair(), pair());
    let slot = CertificateSlot::default();
    set(&slot, &good);
    for (chain, key) in [
        (&other.chain, &good.key),
        (&good.key, &good.key),
        (&good.chain, &good.chain),
        (&String::new(), &String::new()),
    ] {
        assert!(slot.set_pem(chain.as_bytes(), key.as_bytes()).is_err());
        assert_eq!(slot.current(), Some(good.der.clone()));
    }
}

/// Lets the clock run until the slot serves this certificate.
async fn until_served(slot: &CertificateSlot, pair: &Pair) {
    while slot.current() != Some(pair.der.clone()) {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn files_are_read_again_when_they_change_and_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let files = CertificateFiles {
        certificate: directory.path().join("cert.pem"),
        key: directory.path().join("key.pem"),
    };
    let write = |pair: &Pair| {
        fs::write(&files.key, &pair.key).unwrap();
        fs::write(&files.certificate, &pair.chain).unwrap();
    };
    let slot = CertificateSlot::default();
    let error = files.clone().load(slot.clone()).err().unwrap().to_string();
    assert!(error.contains("cert.pem"), "{error}");

    let (first, second, third) = (pair(), pair(), pair());
    write(&first);
    let watch_ = files.clone().load(slot.clone()).unwrap();
    assert_eq!(slot.current(), Some(first.der.clone()));
    let (told, reload) = watch::channel(0);
    let shutdown = CancellationToken::new();
    let watching = tokio::spawn(watch_.run(reload, shutdown.clone()));

    write(&second);
    until_served(&slot, &second).await;

    // A pair that does not match changes nothing.
    fs::write(&files.key, &third.key).unwrap();
    tokio::time::advance(LOOK * 2).await;
    tokio::task::yield_now().await;
    assert_eq!(slot.current(), Some(second.der.clone()));
    fs::write(&files.certificate, &third.chain).unwrap();
    told.send(1).unwrap();
    while slot.current() != Some(third.der.clone()) {
        tokio::task::yield_now().await;
    }
    // Looking goes on when nobody is left to tell.
    drop(told);
    write(&first);
    until_served(&slot, &first).await;
    shutdown.cancel();
    watching.await.unwrap();
}
