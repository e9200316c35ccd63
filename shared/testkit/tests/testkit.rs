//! The testkit itself: databases that come and go, and a challenge server that answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bson::{Document, doc};
use certfleet_testkit::{ChallengeServer, database};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use mongodb::Client;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

#[tokio::test]
async fn each_test_has_a_database_and_none_after_it() {
    let (first, second) = (database().await, database().await);
    assert_ne!(first.name(), second.name());
    for database in [&first, &second] {
        let documents = database.database().collection::<Document>("documents");
        documents.insert_one(doc! { "_id": 1 }).await.unwrap();
    }
    let (uri, gone) = (first.uri().to_owned(), first.name().to_owned());
    drop(first);
    let names = Client::with_uri_str(uri)
        .await
        .unwrap()
        .list_database_names()
        .await
        .unwrap();
    assert!(!names.contains(&gone));
    assert!(names.contains(&second.name().to_owned()));
}

/// The test above in a process of its own, with a replica set of its own.
#[test]
fn a_test_program_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "each_test_has_a_database_and_none_after_it"])
        .env("TMPDIR", temporary.path())
        .env_remove("CERTFLEET_TEST_MONGO_URI")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    // The janitor has no one to tell that it is done.
    while std::fs::read_dir(temporary.path())
        .unwrap()
        .next()
        .is_some()
    {
        std::thread::yield_now();
    }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut question = Message::query();
    question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    question
}

async fn ask_udp(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let question = question(name, kind).to_vec().unwrap();
    socket.send_to(&question, server).await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer).await.unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

async fn ask_tcp(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let question = question(name, kind).to_vec().unwrap();
    stream
        .write_u16(u16::try_from(question.len()).unwrap())
        .await
        .unwrap();
    stream.write_all(&question).await.unwrap();
    let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut answer).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

fn data(answer: &Message) -> Vec<String> {
    answer
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect()
}

#[tokio::test]
async fn dns_answers_what_it_was_told() {
    let server = ChallengeServer::start().await;
    server.add_txt("_acme-challenge.Example.org.", "one");
    server.add_txt("_acme-challenge.example.org", "two");
    server.set_cname("alias.example.org", "_acme-challenge.example.org");
    server.add_address("six.example.org", IpAddr::V6(Ipv6Addr::LOCALHOST));
    server.add_caa("example.org", "issue", "ca.example");
    server.set_servfail("broken.example.org", true);
    let dns = server.dns();

    let both = ask_udp(dns, "_ACME-challenge.example.org.", RecordType::TXT).await;
    assert_eq!(data(&both), ["one", "two"]);
    let followed = ask_udp(dns, "alias.example.org.", RecordType::TXT).await;
    assert_eq!(followed.answers.len(), 3);
    assert!(matches!(followed.answers[0].data, RData::CNAME(_)));
    let six = ask_udp(dns, "six.example.org.", RecordType::AAAA).await;
    assert_eq!(data(&six), ["::1"]);
    assert_eq!(
        data(&ask_udp(dns, "other.org.", RecordType::A).await),
        ["127.0.0.1"]
    );
    let caa = ask_udp(dns, "example.org.", RecordType::CAA).await;
    assert_eq!(data(&caa), ["0 issue \"ca.example\""]);
    let broken = ask_udp(dns, "broken.example.org.", RecordType::A).await;
    assert_eq!(broken.metadata.response_code, ResponseCode::ServFail);
    server.set_default_ipv4(None);
    let absent = ask_udp(dns, "other.org.", RecordType::A).await;
    assert_eq!(absent.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(server.dns_queries()[0].name, "_acme-challenge.example.org");
}

#[tokio::test]
async fn long_answers_are_truncated_over_udp_and_whole_over_tcp() {
    let server = ChallengeServer::start().await;
    let long = "x".repeat(400);
    server.add_txt("long.example.org", &long);
    server.add_txt("long.example.org", &long);
    let short = ask_udp(server.dns(), "long.example.org.", RecordType::TXT).await;
    assert!(short.metadata.truncation && short.answers.len() < 2);
    let whole = ask_tcp(server.dns(), "long.example.org.", RecordType::TXT).await;
    assert_eq!(whole.answers.len(), 2);
}

#[tokio::test]
async fn a_delay_holds_the_answer_back() {
    let server = ChallengeServer::start().await;
    server.set_delay("slow.example.org", Duration::from_millis(200));
    let before = tokio::time::Instant::now();
    ask_udp(server.dns(), "slow.example.org.", RecordType::A).await;
    assert!(before.elapsed() >= Duration::from_millis(200));
}

async fn http(address: &str, head: &str, body: &str) -> String {
    let address = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn hooks_publish_over_http() {
    let server = ChallengeServer::start().await;
    let api = server.management();
    let token = r#"{"token":"abc","content":"abc.thumbprint"}"#;
    assert!(
        http(&api, "POST /add-http01", token)
            .await
            .starts_with("HTTP/1.1 200")
    );
    let path = "GET /.well-known/acme-challenge/abc";
    let address = server.http01().to_string();
    assert!(
        http(&address, path, "")
            .await
            .ends_with("\r\n\r\nabc.thumbprint")
    );
    assert_eq!(
        server.http_requests(),
        ["example.org /.well-known/acme-challenge/abc"]
    );
    http(&api, "POST /del-http01", token).await;
    assert!(http(&address, path, "").await.starts_with("HTTP/1.1 404"));

    let redirect = r#"{"path":"/from","targetURL":"http://example.net/to"}"#;
    http(&api, "POST /add-redirect", redirect).await;
    let moved = http(&address, "GET /from", "").await;
    assert!(
        moved.contains("302") && moved.contains("http://example.net/to"),
        "{moved}"
    );

    let (one, two) = (
        r#"{"fqdn":"_acme-challenge.example.org.","value":"one"}"#,
        r#"{"host":"_acme-challenge.example.org.","value":"two"}"#,
    );
    http(&api, "POST /present", one).await;
    http(&api, "POST /set-txt", two).await;
    http(&api, "POST /cleanup", one).await;
    let left = ask_udp(
        server.dns(),
        "_acme-challenge.example.org.",
        RecordType::TXT,
    )
    .await;
    assert_eq!(data(&left), ["two"]);

    for (action, body, code) in [
        ("set-txt", "{}", 400),
        ("set-txt", "[", 400),
        ("x", "{}", 404),
    ] {
        let refused = http(&api, &format!("POST /{action}"), body).await;
        assert!(
            refused.starts_with(&format!("HTTP/1.1 {code}")),
            "{refused}"
        );
    }
}

/// Accepts any certificate: what is looked at is which one came, and webpki knows nothing of its critical extension.
#[derive(Debug)]
struct AnyCertificate(Vec<SignatureScheme>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

#[tokio::test]
async fn tls_alpn01_shows_the_digest() {
    let server = ChallengeServer::start().await;
    server.add_tls_alpn01("Example.org", "abc.thumbprint");
    server.add_tls_alpn01("127.0.0.1", "other");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let schemes = provider
        .signature_verification_algorithms
        .supported_schemes();
    let mut configuration = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(schemes)))
        .with_no_client_auth();
    configuration.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(configuration));
    for (name, proven) in [
        ("example.org", Some("abc.thumbprint")),
        ("1.0.0.127.in-addr.arpa", Some("other")),
        ("unknown.org", None),
    ] {
        let stream = TcpStream::connect(server.tls_alpn01()).await.unwrap();
        let name = ServerName::try_from(name).unwrap();
        let connected = connector.connect(name, stream).await;
        let Some(key_authorization) = proven else {
            assert!(connected.is_err());
            continue;
        };
        let tls = connected.unwrap();
        assert_eq!(
            tls.get_ref().1.alpn_protocol(),
            Some(b"acme-tls/1".as_slice())
        );
        let certificate = tls.get_ref().1.peer_certificates().unwrap()[0].clone();
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key_authorization.as_bytes());
        let shown = certificate
            .windows(32)
            .any(|octets| octets == digest.as_ref());
        assert!(shown);
    }
}
