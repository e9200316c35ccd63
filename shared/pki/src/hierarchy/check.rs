//! Whether an imported hierarchy can issue: one look before it is stored, instead of failures afterwards.

use certfleet_domain::Timestamp;
use rcgen::CertificateParams;
use x509_parser::certificate::X509Certificate;

use crate::certificate::{IssueError, IssuerCertificate, read, sign_under, subject_key};
use crate::public_key::{WeakKey, public_key_strength};
use crate::signer::{SignatureAlgorithm, Signer, SignerError};

/// What is wrong with a hierarchy. `certificate` says which: `the issuing certificate`, `intermediate 1`, `the root`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HierarchyProblem {
    /// Not a certificate.
    #[error("{certificate} is not a well-formed certificate")]
    Malformed {
        /// Which.
        certificate: String,
    },
    /// The key to be imported is another one.
    #[error("the key is not the one in the issuing certificate")]
    Key,
    /// A key that is not accepted.
    #[error("the public key of {certificate} is refused: {why}")]
    WeakKey {
        /// Which.
        certificate: String,
        /// Why.
        why: WeakKey,
    },
    /// Basic constraints or key usage do not allow it to sign certificates.
    #[error(
        "{certificate} may not sign certificates: cA has to be true and keyUsage has to hold keyCertSign"
    )]
    NotAnAuthority {
        /// Which.
        certificate: String,
    },
    /// Extended key usages that leave servers out.
    #[error("{certificate} is limited to other uses than TLS servers (extendedKeyUsage)")]
    NotForServers {
        /// Which.
        certificate: String,
    },
    /// A path length that is too short.
    #[error("{certificate} allows fewer authorities below it (pathLenConstraint) than there are")]
    PathLength {
        /// Which.
        certificate: String,
    },
    /// Not valid now.
    #[error("{certificate} is not valid now: its validity is {from} to {to}")]
    NotValid {
        /// Which.
        certificate: String,
        /// Start.
        from: Timestamp,
        /// End.
        to: Timestamp,
    },
    /// Not signed by the next one.
    #[error("{certificate} is not signed by {by}")]
    NotSignedBy {
        /// Which.
        certificate: String,
        /// The one that should have.
        by: String,
    },
    /// A name that certificates could not repeat octet by octet.
    #[error(
        "the subject of the issuing certificate is in a form that cannot be repeated in certificates (an attribute \
         that appears twice, or several in one part): import an issuer with a plainer name"
    )]
    Name,
}

struct Link<'a> {
    label: String,
    certificate: X509Certificate<'a>,
}

/// Checks that `certificate`, with the key of `signer`, can issue under `root` at this moment.
///
/// `intermediates` lead from `certificate` to the root, both left out. A root that signs for subscribers itself is
/// given as both. Nothing is signed.
///
/// # Errors
/// The first problem, seen from the issuing certificate up.
pub fn check_hierarchy(
    root: &[u8],
    intermediates: &[Vec<u8>],
    certificate: &[u8],
    signer: &dyn Signer,
    now: Timestamp,
) -> Result<(), HierarchyProblem> {
    let mut links = vec![link("the issuing certificate".to_owned(), certificate)?];
    for (index, der) in intermediates.iter().enumerate() {
        links.push(link(format!("intermediate {}", index + 1), der)?);
    }
    if certificate != root {
        links.push(link("the root".to_owned(), root)?);
    }
    let key = links.first().map(|link| link.certificate.public_key().raw);
    if key != Some(signer.spki_der().as_slice()) {
        return Err(HierarchyProblem::Key);
    }
    for (below, link) in links.iter().enumerate() {
        check_link(link, below, now)?;
    }
    for pair in links.windows(2) {
        if let [lower, upper] = pair {
            require_signed_by(lower, upper)?;
        }
    }
    if let Some(top) = links.last() {
        require_signed_by(top, top)?;
    }
    require_repeatable_name(certificate, signer)
}

fn link(label: String, der: &[u8]) -> Result<Link<'_>, HierarchyProblem> {
    match read(der) {
        Ok(certificate) => Ok(Link { label, certificate }),
        Err(_) => Err(HierarchyProblem::Malformed { certificate: label }),
    }
}

/// One certificate by itself, with this many authorities below it.
fn check_link(link: &Link<'_>, below: usize, now: Timestamp) -> Result<(), HierarchyProblem> {
    let label = || link.label.clone();
    let malformed = || HierarchyProblem::Malformed {
        certificate: label(),
    };
    let certificate = &link.certificate;
    public_key_strength(certificate.public_key().raw).map_err(|why| HierarchyProblem::WeakKey {
        certificate: label(),
        why,
    })?;
    let constraints = certificate.basic_constraints().map_err(|_| malformed())?;
    let usage = certificate.key_usage().map_err(|_| malformed())?;
    let may_sign = usage.is_none_or(|usage| usage.value.key_cert_sign());
    let constraints = constraints
        .map(|extension| extension.value)
        .filter(|constraints| constraints.ca && may_sign)
        .ok_or_else(|| HierarchyProblem::NotAnAuthority {
            certificate: label(),
        })?;
    let too_short = |allowed: u32| usize::try_from(allowed).is_ok_and(|allowed| allowed < below);
    if constraints.path_len_constraint.is_some_and(too_short) {
        return Err(HierarchyProblem::PathLength {
            certificate: label(),
        });
    }
    let purposes = certificate.extended_key_usage().map_err(|_| malformed())?;
    if purposes.is_some_and(|purposes| !purposes.value.any && !purposes.value.server_auth) {
        return Err(HierarchyProblem::NotForServers {
            certificate: label(),
        });
    }
    let validity = certificate.validity();
    let (from, to) = (
        validity.not_before.to_datetime(),
        validity.not_after.to_datetime(),
    );
    if now < from || to < now {
        return Err(HierarchyProblem::NotValid {
            certificate: label(),
            from,
            to,
        });
    }
    Ok(())
}

fn require_signed_by(lower: &Link<'_>, upper: &Link<'_>) -> Result<(), HierarchyProblem> {
    let named = lower.certificate.issuer().as_raw() == upper.certificate.subject().as_raw();
    let signed = lower
        .certificate
        .verify_signature(Some(upper.certificate.public_key()));
    if named && signed.is_ok() {
        return Ok(());
    }
    Err(HierarchyProblem::NotSignedBy {
        certificate: lower.label.clone(),
        by: upper.label.clone(),
    })
}

/// Tries the encoding with a signer that signs nothing: the issuer's name has to come out as it went in.
fn require_repeatable_name(
    certificate: &[u8],
    signer: &dyn Signer,
) -> Result<(), HierarchyProblem> {
    let repeated = || -> Result<bool, IssueError> {
        let issuer = IssuerCertificate::read(certificate)?;
        let key = subject_key(&signer.spki_der())?;
        let unsigned = Unsigned(signer);
        let der = sign_under(&CertificateParams::default(), &key, &issuer, &unsigned)?;
        let read_back = read(&der).map_err(|_| IssueError::SelfCheck("it does not parse"))?;
        Ok(read_back.issuer().as_raw() == issuer.parsed.subject().as_raw())
    };
    if repeated().unwrap_or(false) {
        Ok(())
    } else {
        Err(HierarchyProblem::Name)
    }
}

/// The public half of a signer, with empty signatures.
struct Unsigned<'a>(&'a dyn Signer);

impl Signer for Unsigned<'_> {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }

    fn public_key(&self) -> &[u8] {
        self.0.public_key()
    }

    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(Vec::new())
    }
}
