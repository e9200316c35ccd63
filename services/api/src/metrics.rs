//! What the API counts of what it does; requests are counted at the edge.

use certfleet_domain::{OcspResponse, RevocationReason};
use certfleet_pki::OcspRefusal;
use prometheus::{IntCounterVec, Opts, Registry};

/// By what an OCSP request can be answered.
const ANSWERS: [&str; 6] = [
    "good",
    "revoked",
    "malformedRequest",
    "internalError",
    "tryLater",
    "unauthorized",
];

/// Counters of what was done.
pub struct Metrics {
    revocations: IntCounterVec,
    ocsp: IntCounterVec,
}

impl Metrics {
    /// New counters, registered with `registry`.
    ///
    /// # Errors
    /// If counters of the same names are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let revocations = IntCounterVec::new(
            Opts::new(
                "certfleet_revocations_total",
                "Certificates that were revoked, by reason",
            ),
            &["reason"],
        )?;
        let ocsp = IntCounterVec::new(
            Opts::new(
                "certfleet_ocsp_responses_total",
                "OCSP requests that were answered, by what was answered",
            ),
            &["answer"],
        )?;
        // All that there can be is there from the beginning, so that the first of a kind is seen as a rise.
        for reason in RevocationReason::ALL {
            revocations.with_label_values(&[reason.name()]);
        }
        for answer in ANSWERS {
            ocsp.with_label_values(&[answer]);
        }
        registry.register(Box::new(revocations.clone()))?;
        registry.register(Box::new(ocsp.clone()))?;
        Ok(Self { revocations, ocsp })
    }

    /// A relying party was answered.
    pub fn ocsp(&self, answered: &Result<OcspResponse, OcspRefusal>) {
        let answer = match answered {
            Ok(response) if response.revoked => "revoked",
            Ok(_) => "good",
            Err(OcspRefusal::MalformedRequest) => "malformedRequest",
            Err(OcspRefusal::InternalError) => "internalError",
            Err(OcspRefusal::TryLater) => "tryLater",
            Err(OcspRefusal::Unauthorized) => "unauthorized",
        };
        self.ocsp.with_label_values(&[answer]).inc();
    }

    /// A certificate is revoked, and that is written.
    pub fn revoked(&self, reason: RevocationReason) {
        self.revocations.with_label_values(&[reason.name()]).inc();
    }
}
