use std::sync::Arc;

use certfleet_domain::ChallengeKind;
use rcgen::CustomExtension;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::*;
use crate::ValidationSettings;
use crate::testing::{
    Act, Dns, LOOPBACK, Shown, Web, acme_digest, assert_says, attempt, impatient, problem,
    self_signed, settings, speaks, tls_config, validate,
};

const NAME: &str = "a.example";

async fn dns() -> Dns {
    let dns = Dns::start().await;
    dns.address(NAME, LOOPBACK);
    dns
}

fn with_port(dns: &Dns, port: u16) -> ValidationSettings {
    ValidationSettings {
        tls_alpn_port: port,
        ..settings(dns)
    }
}

/// A server's settings with the right certificate for this name.
fn proof(name: &str, version: &'static SupportedProtocolVersion, alpn: &[&[u8]]) -> ServerConfig {
    let extension = CustomExtension::new_acme_identifier(&acme_digest());
    let (certificate, key) = self_signed(&[name], vec![extension]);
    tls_config(certificate, &key, alpn, version)
}

async fn prove(config: ServerConfig) -> Result<Evidence, ValidationError> {
    let web = Web::start_tls(config, |_| Act::ok("")).await;
    let settings = with_port(&dns().await, web.port);
    validate(settings, &attempt(ChallengeKind::TlsAlpn01, NAME)).await
}

#[tokio::test]
async fn the_right_certificate_proves_a_name_over_tls_1_2_and_1_3() {
    for version in [&TLS12, &TLS13] {
        let web = Web::start_tls(proof(NAME, version, &[b"h2", ACME_TLS]), |_| Act::ok("")).await;
        let settings = with_port(&dns().await, web.port);
        let evidence = validate(settings, &attempt(ChallengeKind::TlsAlpn01, NAME)).await;
        let expected = Evidence::TlsAlpn01 {
            resolved: vec![LOOPBACK],
            address: (LOOPBACK, web.port).into(),
        };
        assert_eq!(evidence.unwrap(), expected);
    }
}

#[tokio::test]
async fn an_address_is_asked_for_by_its_reverse_name() {
    let extension = CustomExtension::new_acme_identifier(&acme_digest());
    let (certificate, key) = self_signed(&["127.0.0.1"], vec![extension]);
    let mut config = tls_config(certificate.clone(), &key, &[ACME_TLS], &TLS13);
    let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    config.cert_resolver = Arc::new(Shown {
        server_name: Some("1.0.0.127.in-addr.arpa"),
        key: Arc::new(CertifiedKey::new(vec![certificate], signer)),
    });
    let web = Web::start_tls(config, |_| Act::ok("")).await;
    let attempt = attempt(ChallengeKind::TlsAlpn01, "127.0.0.1");
    validate(with_port(&dns().await, web.port), &attempt)
        .await
        .unwrap();
}

#[test]
fn reverse_names_are_those_of_dns() {
    assert_eq!(
        reverse_name("192.0.2.1".parse().unwrap()),
        "1.2.0.192.in-addr.arpa"
    );
    assert_eq!(
        reverse_name("2001:db8::567:89ab".parse().unwrap()),
        "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    );
    server_name(&Identifier::ip("192.0.2.1").unwrap()).unwrap();
    server_name(&Identifier::ip("2001:db8::1").unwrap()).unwrap();
}

#[tokio::test]
async fn another_certificate_does_not() {
    let other = CustomExtension::new_acme_identifier(&[7; 32]);
    let (certificate, key) = self_signed(&[NAME], vec![other]);
    let result = prove(tls_config(certificate, &key, &[ACME_TLS], &TLS13)).await;
    let problem = problem(result, ProblemKind::IncorrectResponse);
    assert_says(
        &problem,
        &[
            "127.0.0.1:",
            NAME,
            "the certificate carries the digest 0707",
        ],
    );
}

#[tokio::test]
async fn a_server_without_the_protocol_is_told_so() {
    let result = prove(proof(NAME, &TLS13, &[])).await;
    assert_says(
        &problem(result, ProblemKind::Unauthorized),
        &["chose the protocol none", "acme-tls/1"],
    );
    let result = prove(proof(NAME, &TLS13, &[b"h2"])).await;
    assert_says(
        &problem(result, ProblemKind::Tls),
        &["handshake failed", "NoApplicationProtocol"],
    );
}

#[tokio::test]
async fn a_server_that_does_not_hold_the_key_is_not_believed() {
    let extension = CustomExtension::new_acme_identifier(&acme_digest());
    for version in [&TLS12, &TLS13] {
        let (certificate, _) = self_signed(&[NAME], vec![extension.clone()]);
        let (_, key) = self_signed(&[NAME], vec![]);
        let config = tls_config(certificate, &key, &[ACME_TLS], version);
        assert_says(
            &problem(prove(config).await, ProblemKind::Tls),
            &["BadSignature"],
        );
    }
}

#[tokio::test]
async fn what_is_no_tls_server_is_told_so() {
    let attempt = attempt(ChallengeKind::TlsAlpn01, NAME);
    let dns = dns().await;
    let port = speaks(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let result = validate(with_port(&dns, port), &attempt).await;
    assert_says(&problem(result, ProblemKind::Tls), &["handshake failed"]);
    let port = speaks(b"").await;
    let result = validate(with_port(&dns, port), &attempt).await;
    assert_says(
        &problem(result, ProblemKind::Connection),
        &["handshake failed"],
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up_on() {
    // Connections wait in its backlog.
    let listener = tokio::net::TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = impatient(with_port(&dns().await, port));
    let result = validate(settings, &attempt(ChallengeKind::TlsAlpn01, "127.0.0.1")).await;
    assert_says(
        &problem(result, ProblemKind::Connection),
        &["not done in time"],
    );
}

#[tokio::test]
async fn a_refused_address_is_not_asked() {
    let web = Web::start_tls(proof(NAME, &TLS13, &[ACME_TLS]), |_| Act::ok("")).await;
    let mut settings = with_port(&dns().await, web.port);
    settings.allowed_networks.clear();
    let result = validate(settings, &attempt(ChallengeKind::TlsAlpn01, NAME)).await;
    assert_says(
        &problem(result, ProblemKind::Connection),
        &["127.0.0.1 is a loopback address"],
    );
}

#[tokio::test]
async fn a_wildcard_cannot_be_proven_this_way() {
    let attempt = attempt(ChallengeKind::TlsAlpn01, "*.a.example");
    let result = validate(settings(&dns().await), &attempt).await;
    problem(result, ProblemKind::Malformed);
}
