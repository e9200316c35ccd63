//! Every kind of certificate, judged by pkilint (PyPI): nothing at ERROR or above.
//!
//! `CERTFLEET_PKILINT` names the directory with its entry points, such as the `bin` of a virtual environment. Without
//! it the test says that it is skipped, and fails where `CI` is set.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use certfleet_domain::Identifier;
use certfleet_pki::{SHORT_LIVED_SECONDS, certificate_pem};
use certfleet_signer::KeyAlgorithm;

use crate::common::{Leaf, authority, leaves};

/// RFC 5280 §4.2.1.6 knows no wildcard, and says so itself; RFC 9525 §6.3 does. The stricter linter knows it.
const WILDCARD: &str = "pkix.invalid_domain_name_syntax";
/// Microsoft's root programme knows no short-lived certificate; the Baseline Requirements (7.1.2.11.2) do.
const SHORT_LIVED: &str = "msft.end_entity.revocation_information_absent";

/// Where pkilint is, if it is anywhere.
fn pkilint() -> Option<PathBuf> {
    if let Some(directory) = std::env::var_os("CERTFLEET_PKILINT") {
        return Some(directory.into());
    }
    let why = "CERTFLEET_PKILINT is not set: python3 -m venv V && V/bin/pip install pkilint, and set it to V/bin";
    assert!(std::env::var_os("CI").is_none(), "{why}");
    #[expect(
        clippy::explicit_write,
        reason = "the test harness swallows what a passing test prints with eprintln"
    )]
    writeln!(
        std::io::stderr(),
        "SKIPPED: no certificate was linted. {why}"
    )
    .unwrap();
    None
}

/// The codes of what the linter finds at ERROR or above, but for those allowed.
fn findings(program: &Path, arguments: &[&str], files: &[&Path], allowed: &[&str]) -> Vec<String> {
    let output = Command::new(program)
        .arg("lint")
        .args(["--severity", "ERROR", "--format", "CSV"])
        .args(arguments)
        .args(files)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        lines.next(),
        Some("node_path,validator,severity,code,message"),
        "{} did not lint: {errors}",
        program.display()
    );
    lines
        .filter(|line| !line.is_empty())
        .filter(|line| {
            line.split(',')
                .nth(3)
                .is_none_or(|code| !allowed.contains(&code))
        })
        .map(str::to_owned)
        .collect()
}

fn lint(directory: &Path, file: &Path, allowed: &[&str], public: bool) {
    let name = file.display();
    let pkix = findings(&directory.join("lint_pkix_cert"), &[], &[file], allowed);
    assert!(pkix.is_empty(), "{name}: {pkix:#?}");
    if public {
        let program = directory.join("lint_cabf_serverauth_cert");
        let cabf = findings(&program, &["--detect"], &[file], allowed);
        assert!(cabf.is_empty(), "{name}: {cabf:#?}");
    }
}

fn allowed(leaf: &Leaf) -> Vec<&'static str> {
    let mut allowed = Vec::new();
    if leaf.identifiers.iter().any(Identifier::is_wildcard) {
        allowed.push(WILDCARD);
    }
    if leaf.profile.lifetime_seconds <= SHORT_LIVED_SECONDS {
        allowed.push(SHORT_LIVED);
    }
    allowed
}

#[test]
fn every_kind_of_certificate_passes() {
    let Some(linter) = pkilint() else { return };
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, der: &[u8]| {
        let file = directory.path().join(format!("{name}.pem"));
        std::fs::write(&file, certificate_pem(der)).unwrap();
        file
    };
    let chain = linter.join("lint_pkix_signer_signee_cert_chain");
    // Every leaf under one authority, and one under the other: what differs there is the signature alone.
    for (root_key, key, count) in [
        (KeyAlgorithm::EcdsaP384, KeyAlgorithm::EcdsaP256, usize::MAX),
        (KeyAlgorithm::Rsa4096, KeyAlgorithm::Rsa2048, 1),
    ] {
        let authority = authority(root_key, key);
        let root = write("root", &authority.issuer.root);
        let issuer = write("issuer", &authority.issuer.certificate);
        lint(&linter, &root, &[], true);
        lint(&linter, &issuer, &[], true);
        let found = findings(&chain, &[], &[&root, &issuer], &[]);
        assert!(found.is_empty(), "{found:#?}");
        for leaf in leaves().iter().take(count) {
            let file = write(leaf.name, &authority.issue(leaf));
            // The public rules want URLs; an authority for a fleet's own names may have none.
            lint(&linter, &file, &allowed(leaf), leaf.urls);
        }
        let leaf = write("leaf", &authority.issue(leaves().first().unwrap()));
        let found = findings(&chain, &[], &[&issuer, &leaf], &[]);
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// The linter does find what is wrong, and is not merely silent.
#[test]
fn the_linter_minds_what_is_wrong() {
    let Some(linter) = pkilint() else { return };
    let directory = tempfile::tempdir().unwrap();
    let authority = authority(KeyAlgorithm::EcdsaP384, KeyAlgorithm::EcdsaP256);
    let bare = leaves().into_iter().find(|leaf| !leaf.urls).unwrap();
    let file = directory.path().join("bare.pem");
    std::fs::write(&file, certificate_pem(&authority.issue(&bare))).unwrap();
    let program = linter.join("lint_cabf_serverauth_cert");
    let found = findings(&program, &["--detect"], &[&file], &[]);
    assert!(!found.is_empty());
}
