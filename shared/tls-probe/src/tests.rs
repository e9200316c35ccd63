use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const WITHIN: Duration = Duration::from_millis(500);

/// A server with a certificate of its own making; gives its port and the certificate.
async fn serve(
    instead: impl FnOnce(&CertificateDer<'static>) -> Option<CertificateDer<'static>>,
) -> (u16, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["www.example.org".to_owned()]).unwrap();
    let own = made.cert.der().clone();
    let shown = instead(&own).unwrap_or_else(|| own.clone());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = provider.key_provider.load_private_key(key).unwrap();
    // As it is, without a look at whether they belong together.
    let certified = rustls::sign::CertifiedKey::new(vec![shown], key);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    (port, own)
}

#[tokio::test]
async fn what_is_served_is_seen_whoever_signed_it() {
    let (port, own) = serve(|_| None).await;
    let prober = Prober::new(WITHIN).unwrap();
    for name in ["www.example.org", "another.example.net", "127.0.0.1"] {
        let chain = prober.look(("127.0.0.1", port), name).await.unwrap();
        assert_eq!(chain, vec![own.clone()], "{name}");
    }
}

#[tokio::test]
async fn who_shows_a_certificate_whose_key_they_have_not_is_not_believed() {
    let other = rcgen::generate_simple_self_signed(vec!["www.example.org".to_owned()]).unwrap();
    let (port, _) = serve(|_| Some(other.cert.der().clone())).await;
    let prober = Prober::new(WITHIN).unwrap();
    let looked = prober.look(("127.0.0.1", port), "www.example.org").await;
    assert!(
        matches!(looked, Err(ProbeError::Handshake(_))),
        "{looked:?}"
    );
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let prober = Prober::new(WITHIN).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let looked = prober.look(("127.0.0.1", port), "www.example.org").await;
    assert!(matches!(looked, Err(ProbeError::Slow(_))), "{looked:?}");
    drop(silent);
    let looked = prober.look(("127.0.0.1", port), "www.example.org").await;
    assert!(
        matches!(looked, Err(ProbeError::Connection(_))),
        "{looked:?}"
    );
    let looked = prober.look(("127.0.0.1", port), "no name").await;
    assert!(matches!(looked, Err(ProbeError::Name(_))), "{looked:?}");
}
