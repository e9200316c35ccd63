//! Client certificates, checked against whom Kubernetes says to believe at this moment.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tokio::sync::watch;

use crate::front_proxy::Trusted;

/// Whom to believe, as of now; nobody until the cluster's API server has said so.
pub type TrustedNow = watch::Receiver<Option<Arc<Trusted>>>;

/// Believes whom [`Trusted`] names, and lets those in as well who show no certificate: they have to show a token.
pub struct ClientCertificates {
    trusted: TrustedNow,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertificates {
    /// Goes by these.
    pub fn new(trusted: TrustedNow) -> Self {
        Self {
            trusted,
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        }
    }
}

impl fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificates")
    }
}

impl ClientCertVerifier for ClientCertificates {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    // No hint: the names change while connections are served.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let trusted = self.trusted.borrow().clone();
        let nobody = || Error::General("whom to believe is not known yet".to_owned());
        let mut chain = vec![own.clone()];
        chain.extend(others.iter().cloned());
        trusted.ok_or_else(nobody)?.verify(&chain, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
