//! Why a secret is opened.

use std::fmt;

/// Why a secret is opened; traced with every opening, so that a secret used for something new shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// An issuer's key, to sign a certificate.
    SignCertificate,
    /// An issuer's key, to sign a CRL.
    SignCrl,
    /// An issuer's key, to sign the certificate of its OCSP responder.
    SignResponder,
    /// A responder's key, to sign an OCSP answer.
    SignOcspResponse,
    /// A server's key, to present its own certificate.
    ServeTls,
    /// A key that binds accounts, to check a binding.
    CheckBinding,
    /// The key of the fleet's account at an authority, to sign a request.
    ActAtUpstream,
    /// A MAC key, to bind that account.
    JoinUpstream,
    /// The key of a managed certificate, to sign the request for it.
    RequestCertificate,
    /// The same key, for whoever is to serve with it.
    Export,
    /// The same key, for the host that it is delivered to.
    Deliver,
    /// A zone's key, to sign an update of it.
    UpdateDns,
    /// The key that nonces are made and checked with.
    MintNonces,
    /// The key that the audit trail is signed with.
    SignCheckpoint,
    /// The same key, to sign a report of a restore drill.
    SignReport,
    /// Any secret, to seal it anew under another KEK.
    Rewrap,
    /// A value sealed only to prove that the KEK is the right one.
    ProveKek,
}

impl Purpose {
    /// The name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignCertificate => "sign-certificate",
            Self::SignCrl => "sign-crl",
            Self::SignResponder => "sign-responder",
            Self::SignOcspResponse => "sign-ocsp-response",
            Self::ServeTls => "serve-tls",
            Self::CheckBinding => "check-binding",
            Self::ActAtUpstream => "act-at-upstream",
            Self::JoinUpstream => "join-upstream",
            Self::RequestCertificate => "request-certificate",
            Self::Export => "export",
            Self::UpdateDns => "update-dns",
            Self::Deliver => "deliver",
            Self::MintNonces => "mint-nonces",
            Self::SignCheckpoint => "sign-checkpoint",
            Self::SignReport => "sign-report",
            Self::Rewrap => "rewrap",
            Self::ProveKek => "prove-kek",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
