//! What is asked for and whether it was given: the CSR, and a look at the chain that came back.

use anyhow::{Context as _, Result, bail, ensure};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData as _};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

/// A certificate request and the key it is for.
pub(crate) struct Wanted {
    key: KeyPair,
    names: Vec<String>,
    /// The CSR in DER.
    pub(crate) csr: Vec<u8>,
}

impl Wanted {
    /// A request for `names` under a fresh P-256 key.
    pub(crate) fn new(names: &[String]) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name = DistinguishedName::new();
        let csr = parameters.serialize_request(&key)?.der().to_vec();
        Ok(Self {
            key,
            names: names.to_vec(),
            csr,
        })
    }

    /// Checks that `chain` (PEM) begins with a certificate for exactly these names and this key. Gives the
    /// number of certificates in it.
    pub(crate) fn check(&self, chain: &[u8]) -> Result<usize> {
        let blocks = Pem::iter_from_buffer(chain)
            .collect::<Result<Vec<_>, _>>()
            .context("the chain is not PEM")?;
        let first = blocks.first().context("the chain is empty")?;
        ensure!(
            blocks.iter().all(|block| block.label == "CERTIFICATE"),
            "the chain holds something else than certificates"
        );
        let certificate = first
            .parse_x509()
            .context("the certificate does not parse")?;
        let spki = certificate.public_key().subject_public_key.data.as_ref();
        ensure!(
            spki == self.key.der_bytes(),
            "the certificate is for another key"
        );
        let Some(names) = certificate.subject_alternative_name()? else {
            bail!("the certificate has no names");
        };
        let mut found: Vec<&str> = Vec::with_capacity(self.names.len());
        for name in &names.value.general_names {
            match name {
                GeneralName::DNSName(name) => found.push(name),
                other => bail!("the certificate has the name {other:?}, which was not asked for"),
            }
        }
        let mut wanted: Vec<&str> = self.names.iter().map(String::as_str).collect();
        found.sort_unstable();
        wanted.sort_unstable();
        ensure!(found == wanted, "the certificate is for {found:?}");
        Ok(blocks.len())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::Issuer;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// A chain of two for `names` and the key of `wanted`.
    fn chain(wanted: &Wanted, for_names: &[&str]) -> String {
        let key = KeyPair::generate().unwrap();
        let ca = CertificateParams::new(names(&["ca.test"])).unwrap();
        let root = ca.self_signed(&key).unwrap();
        let issuer = Issuer::new(ca, key);
        let leaf = CertificateParams::new(names(for_names)).unwrap();
        let leaf = leaf.signed_by(&wanted.key, &issuer).unwrap();
        leaf.pem() + &root.pem()
    }

    #[test]
    fn a_chain_for_the_names_and_key_is_counted() {
        let wanted = Wanted::new(&names(&["b.test", "a.test"])).unwrap();
        let chain = chain(&wanted, &["a.test", "b.test"]);
        assert_eq!(wanted.check(chain.as_bytes()).unwrap(), 2);
    }

    #[test]
    fn a_certificate_for_another_name_or_key_is_refused() {
        let wanted = Wanted::new(&names(&["a.test"])).unwrap();
        let other_name = chain(&wanted, &["a.test", "b.test"]);
        let other_key = chain(&Wanted::new(&names(&["a.test"])).unwrap(), &["a.test"]);
        for chain in [other_name, other_key, String::new()] {
            assert!(wanted.check(chain.as_bytes()).is_err());
        }
    }
}
