//! An OCSP answer (RFC 6960), signed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::CertificateId;

/// How the issuer is named in a request, and so in its answer: by hashes of its name and key (RFC 6960 §4.1.1). They
/// prove nothing, they are labels, for which clients use SHA-1 to this day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertIdHash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl CertIdHash {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sha1, Self::Sha256];

    /// The text form: `sha1`, `sha256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }
}

impl fmt::Display for CertIdHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A signed answer about a certificate, to requests that name its issuer by this hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspResponse {
    /// Which certificate.
    pub certificate: CertificateId,
    /// How requests name its issuer.
    pub hash: CertIdHash,
    /// Whether it says that the certificate is revoked; if not, it says that it is good.
    pub revoked: bool,
    /// From when on it speaks.
    pub this_update: Timestamp,
    /// Until when relying parties may go by it.
    pub next_update: Timestamp,
    /// The answer itself, DER.
    pub der: Vec<u8>,
}

impl OcspResponse {
    /// Whether it may still be given out: it says what is so, and more than half of its time is left.
    pub fn serves(&self, revoked: bool, now: Timestamp) -> bool {
        let half = self.this_update + (self.next_update - self.this_update) / 2;
        self.revoked == revoked && now < half
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::clock::{SystemClock, SystemRng};

    #[test]
    fn an_answer_serves_while_it_is_true_and_young() {
        let now = datetime!(2027-01-01 12:00 UTC);
        let good = OcspResponse {
            certificate: CertificateId::generate(&SystemClock, &mut SystemRng),
            hash: CertIdHash::Sha1,
            revoked: false,
            this_update: now,
            next_update: now + Duration::hours(24),
            der: Vec::new(),
        };
        assert!(good.serves(false, now + Duration::hours(11)));
        assert!(!good.serves(true, now));
        assert!(!good.serves(false, now + Duration::hours(12)));
    }
}
