//! Certificate signing requests.

use anyhow::Result;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

/// A request and the key it is for.
#[derive(Debug)]
pub struct Csr {
    /// The key: P-256 unless it was given.
    pub key: KeyPair,
    /// The request, DER.
    pub der: Vec<u8>,
}

impl Csr {
    /// A request for these names and addresses under a new key.
    pub fn new(names: &[impl AsRef<str>]) -> Result<Self> {
        Self::with(names, None, KeyPair::generate()?)
    }

    /// A request with a common name, under this key.
    pub fn with(
        names: &[impl AsRef<str>],
        common_name: Option<&str>,
        key: KeyPair,
    ) -> Result<Self> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        let der = params.serialize_request(&key)?.der().to_vec();
        Ok(Self { key, der })
    }
}
