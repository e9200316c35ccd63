//! Client certificates: that a client has the key of what it shows is checked here, who it is by whom is asked.

use std::fmt;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Decides whom to believe.
pub trait Believe: Send + Sync + 'static {
    /// Whether to let in who shows this chain, its own certificate first. Those who show none are let in as well: handlers see
    /// by [`PeerCertificates`](crate::PeerCertificates) that they have not.
    fn believe(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error>;
}

/// Lets in whoever has the key of the certificate that they show; handlers decide who that is.
pub struct Anybody;

impl Believe for Anybody {
    fn believe(&self, _: &[CertificateDer<'_>], _: UnixTime) -> Result<(), Error> {
        Ok(())
    }
}

/// Asks clients for a certificate, and goes by what `B` believes.
pub(crate) struct ClientCertificates<B> {
    believe: B,
    algorithms: WebPkiSupportedAlgorithms,
}

impl<B> ClientCertificates<B> {
    pub(crate) fn new(believe: B) -> Self {
        Self {
            believe,
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        }
    }
}

impl<B> fmt::Debug for ClientCertificates<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificates")
    }
}

impl<B: Believe> ClientCertVerifier for ClientCertificates<B> {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    // No hint: whom to believe may change while connections are served.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut chain = vec![own.clone()];
        chain.extend(others.iter().cloned());
        self.believe.believe(&chain, now)?;
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
