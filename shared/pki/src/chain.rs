//! Certificates as PEM (RFC 7468), and the chain a client downloads (RFC 8555 §9.1).

use certfleet_domain::Issuer;
use pem::{EncodeConfig, LineEnding, Pem};
use x509_parser::parse_x509_certificate;

/// The label of a certificate, and its older form that openssl reads as well.
const LABEL: &str = "CERTIFICATE";
const OLD_LABEL: &str = "X509 CERTIFICATE";

/// Text that is not one or more certificates in PEM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoChain {
    /// Not PEM.
    #[error("it is not PEM: {0}")]
    NotPem(String),
    /// No block at all.
    #[error("it holds no PEM block; BEGIN CERTIFICATE is due")]
    Empty,
    /// A block of another kind; its label.
    #[error("it holds a block {0:?}; only CERTIFICATE is due")]
    Label(String),
    /// A block that is not a certificate; its place, counted from 1.
    #[error("block {0} is not a certificate in DER")]
    NotACertificate(usize),
}

/// One certificate as PEM: 64 columns and LF, as openssl writes it.
pub fn certificate_pem(der: &[u8]) -> String {
    pem::encode_config(&Pem::new(LABEL, der), line_feeds())
}

/// What goes with a leaf, DER, leaf first, the root left out (RFC 8555 §9.1).
pub fn chain<'a>(leaf: &'a [u8], issuer: &'a Issuer) -> Vec<&'a [u8]> {
    let above = std::iter::once(&issuer.certificate)
        .chain(&issuer.intermediates)
        .filter(|certificate| **certificate != issuer.root)
        .map(Vec::as_slice);
    std::iter::once(leaf).chain(above).collect()
}

/// The chain as PEM, leaf first: the body of `application/pem-certificate-chain`.
pub fn chain_pem(leaf: &[u8], issuer: &Issuer) -> String {
    chain(leaf, issuer)
        .into_iter()
        .map(certificate_pem)
        .collect()
}

/// The certificates of a PEM text, DER, in their order. Text around the blocks is allowed, other blocks are not.
///
/// # Errors
/// What is wrong with the text; never empty.
pub fn certificates_from_pem(text: &str) -> Result<Vec<Vec<u8>>, NoChain> {
    let blocks = pem::parse_many(text).map_err(|error| NoChain::NotPem(error.to_string()))?;
    if blocks.is_empty() {
        return Err(NoChain::Empty);
    }
    blocks
        .into_iter()
        .enumerate()
        .map(|(index, block)| {
            if block.tag() != LABEL && block.tag() != OLD_LABEL {
                return Err(NoChain::Label(block.tag().chars().take(64).collect()));
            }
            let der = block.into_contents();
            match parse_x509_certificate(&der) {
                Ok(([], _)) => Ok(der),
                Ok(_) | Err(_) => Err(NoChain::NotACertificate(index + 1)),
            }
        })
        .collect()
}

fn line_feeds() -> EncodeConfig {
    EncodeConfig::new().set_line_ending(LineEnding::LF)
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{IssuerId, SystemClock, SystemRng};
    use proptest::prelude::*;

    use super::*;
    use crate::signer::Signer;
    use crate::testing::{TestSigner, intermediate, root};

    fn issuer() -> Issuer {
        let root_signer = TestSigner::p256();
        let root = root("Root", &root_signer);
        Issuer {
            id: IssuerId::generate(&SystemClock, &mut SystemRng),
            certificate: intermediate(&TestSigner::p256().spki_der(), &root, &root_signer),
            intermediates: Vec::new(),
            root,
        }
    }

    #[test]
    fn a_chain_goes_from_leaf_to_below_the_root() {
        let mut issuer = issuer();
        let leaf = root("Leaf", &TestSigner::p256());
        let text = chain_pem(&leaf, &issuer);
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----\n") && text.ends_with("-----\n"));
        assert!(text.lines().all(|line| line.len() <= 64) && !text.contains('\r'));
        let expected = vec![leaf.clone(), issuer.certificate.clone()];
        assert_eq!(certificates_from_pem(&text), Ok(expected));
        issuer.certificate = issuer.root.clone();
        assert_eq!(chain(&leaf, &issuer), [leaf.as_slice()]);
    }

    #[test]
    fn only_certificates_are_read() {
        let issuer = issuer();
        let text = certificate_pem(&issuer.root);
        let around = format!("subject: a root\r\n{}\n", text.replace('\n', "\r\n"));
        assert_eq!(certificates_from_pem(&around), Ok(vec![issuer.root]));
        let key = text.replace("CERTIFICATE", "PRIVATE KEY");
        assert_eq!(
            certificates_from_pem(&key),
            Err(NoChain::Label("PRIVATE KEY".to_owned()))
        );
        assert_eq!(certificates_from_pem("nothing"), Err(NoChain::Empty));
        let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(
            certificates_from_pem(&format!("{text}{broken}")),
            Err(NoChain::NotACertificate(2))
        );
        assert!(matches!(
            certificates_from_pem("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"),
            Err(NoChain::NotPem(_))
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer(text in "(-----BEGIN CERTIFICATE-----\n)?.{0,200}(\n-----END CERTIFICATE-----\n)?") {
            let _ = certificates_from_pem(&text);
        }
    }
}
