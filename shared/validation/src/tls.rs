//! TLS towards applicants, who have no certificate that could be trusted yet.

use std::io;
use std::sync::Arc;

use certfleet_domain::ProblemKind;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use tokio_rustls::TlsConnector;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The protocol of tls-alpn-01 (RFC 8737 §6.2).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// Connectors for the two uses that validation has for TLS.
pub(crate) struct Tls {
    /// For `https` redirects of http-01.
    pub(crate) https: TlsConnector,
    /// For tls-alpn-01.
    pub(crate) acme: TlsConnector,
}

impl Tls {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            https: connector(b"http/1.1")?,
            acme: connector(ACME_TLS)?,
        })
    }
}

fn connector(protocol: &[u8]) -> Result<TlsConnector, Error> {
    let provider = aws_lc_rs::default_provider();
    let verifier = AnyCertificate(provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    // A resumed session shows no certificate, and the certificate is the proof.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection that breaks is a `connection` problem, one that speaks TLS wrongly a `tls` one.
pub(crate) fn kind_of(error: &io::Error) -> ProblemKind {
    match error.get_ref() {
        Some(inner) if inner.is::<Error>() => ProblemKind::Tls,
        _ => ProblemKind::Connection,
    }
}

/// Takes any certificate, and makes sure that the server holds its key.
///
/// The signature checks are not those of webpki, since that refuses to parse a certificate with a critical extension
/// that it does not know, and tls-alpn-01 is all about such a one.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    X509Certificate::from_der(certificate)
        .map(|(_, certificate)| certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = parse(certificate)?;
        let key = &certificate.public_key().subject_public_key.data;
        let (_, algorithms) = self
            .0
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // In TLS 1.2 a scheme does not fix the curve: one of its algorithms has to fit the key.
        let verified = algorithms.iter().any(|algorithm| {
            algorithm
                .verify_signature(key, message, signed.signature())
                .is_ok()
        });
        if verified {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = parse(certificate)?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
