//! A certificate for a server of the tests, on `localhost`, and who has signed it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Writes `root.pem`, `certificate.pem` and `key.pem` into a directory.
pub fn write_server_files(home: &Path) -> Result<()> {
    let mut root = CertificateParams::new(Vec::new())?;
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &root)?;
    fs::write(home.join("root.pem"), root.pem())?;
    fs::write(home.join("certificate.pem"), certificate.pem())?;
    fs::write(home.join("key.pem"), key.serialize_pem())?;
    Ok(())
}
