//! Certificates of real keys, verified by openssl as strictly as it can.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod common;

use std::path::Path;
use std::process::Command;

use certfleet_domain::Identifier;
use certfleet_pki::{certificate_pem, chain_pem, check_hierarchy};
use certfleet_signer::KeyAlgorithm;

use crate::common::{Authority, authority, leaves, now};

/// Runs `openssl verify` over the chain in `directory`, for this name.
fn verify(directory: &Path, name: &Identifier) -> Result<(), String> {
    let check = match name {
        Identifier::Ip(_) => "-verify_ip",
        Identifier::Dns(_) | Identifier::Wildcard(_) => "-verify_hostname",
    };
    let host = name.to_string().replace('*', "any");
    let output = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslserver"])
        .args(["-CAfile", "root.pem", "-untrusted", "chain.pem"])
        .args([check, &host, "chain.pem"])
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("these tests need the openssl command: {error}"));
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The chain as a client downloads it. `openssl verify` takes its first certificate, and the rest as untrusted.
fn write_chain(directory: &Path, authority: &Authority, leaf: &[u8]) {
    let root = certificate_pem(&authority.issuer.root);
    std::fs::write(directory.join("root.pem"), root).unwrap();
    let chain = chain_pem(leaf, &authority.issuer);
    std::fs::write(directory.join("chain.pem"), chain).unwrap();
}

#[test]
fn every_leaf_verifies_for_each_of_its_names() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(KeyAlgorithm::EcdsaP384, KeyAlgorithm::EcdsaP256);
    for leaf in leaves() {
        write_chain(directory.path(), &authority, &authority.issue(&leaf));
        for name in &leaf.identifiers {
            let result = verify(directory.path(), name);
            assert_eq!(result, Ok(()), "{} for {name}", leaf.name);
        }
        let other = Identifier::dns("other.example.net").unwrap();
        assert!(verify(directory.path(), &other).is_err(), "{}", leaf.name);
    }
}

#[test]
fn authorities_of_every_kind_of_key_verify() {
    let directory = tempfile::tempdir().unwrap();
    let leaves = leaves();
    let leaf = leaves.first().unwrap();
    for kind in KeyAlgorithm::ALL {
        let authority = authority(KeyAlgorithm::EcdsaP384, kind);
        let issuer = &authority.issuer;
        let checked = check_hierarchy(
            &issuer.root,
            &[],
            &issuer.certificate,
            &authority.key,
            now(),
        );
        assert_eq!(checked, Ok(()), "{kind}");
        write_chain(directory.path(), &authority, &authority.issue(leaf));
        let name = leaf.identifiers.first().unwrap();
        assert_eq!(verify(directory.path(), name), Ok(()), "{kind}");
    }
}

#[test]
fn a_leaf_of_another_authority_does_not_verify() {
    let directory = tempfile::tempdir().unwrap();
    let leaves = leaves();
    let leaf = leaves.first().unwrap();
    let one = authority(KeyAlgorithm::EcdsaP384, KeyAlgorithm::EcdsaP256);
    let other = authority(KeyAlgorithm::EcdsaP384, KeyAlgorithm::EcdsaP256);
    write_chain(directory.path(), &one, &other.issue(leaf));
    assert!(verify(directory.path(), leaf.identifiers.first().unwrap()).is_err());
}
