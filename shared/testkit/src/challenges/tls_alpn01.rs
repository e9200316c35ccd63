//! TLS-ALPN-01 (RFC 8737): a self-signed certificate with the key authorization's digest.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{default_provider, sign};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::answers::Answers;

pub(super) async fn serve(listener: TcpListener, answers: Arc<Answers>) {
    let mut configuration = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Certificates(answers)));
    configuration.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(configuration));
    let mut tasks = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            // The handshake is all of it.
            tasks.spawn(async move { acceptor.accept(stream).await.is_ok() });
        }
        while tasks.try_join_next().is_some() {}
    }
}

#[derive(Debug)]
struct Certificates(Arc<Answers>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let (host, key_authorization) = self.0.tls_alpn01(hello.server_name()?)?;
        Some(Arc::new(certificate(&host, &key_authorization)))
    }
}

fn certificate(host: &str, key_authorization: &str) -> CertifiedKey {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new([host.to_owned()]).unwrap();
    let proof = digest(&SHA256, key_authorization.as_bytes());
    parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(proof.as_ref())];
    let certificate = parameters.self_signed(&key).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = sign::any_supported_type(&key).unwrap();
    CertifiedKey::new(vec![certificate.der().clone()], key)
}
