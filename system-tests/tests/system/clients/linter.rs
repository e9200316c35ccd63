//! The linter pkilint (`PyPI`), in the directory that `CERTFLEET_PKILINT` names: nothing at ERROR or above.

use std::path::{Path, PathBuf};
use std::process::Command;

/// RFC 5280 §4.2.1.6 knows no wildcard, and says so itself; RFC 9525 §6.3 does.
pub(crate) const WILDCARD: &str = "pkix.invalid_domain_name_syntax";

/// Judges one certificate by RFC 5280, but for the codes allowed.
pub(crate) fn lint(certificate: &Path, allowed: &[&str]) {
    judge("lint_pkix_cert", &[certificate], allowed);
}

/// Judges whether the one certificate is as its issuer's has it.
pub(crate) fn lint_pair(issuer: &Path, certificate: &Path) {
    judge(
        "lint_pkix_signer_signee_cert_chain",
        &[issuer, certificate],
        &[],
    );
}

/// Judges a CRL, by RFC 5280 and by the Baseline Requirements.
pub(crate) fn lint_crl(crl: &Path) {
    for profile in ["PKIX", "BR"] {
        let options = ["--type", "CRL", "--profile", profile];
        judge_with("lint_crl", &options, &[crl], &[]);
    }
}

/// Judges an OCSP answer, by RFC 6960.
pub(crate) fn lint_ocsp_response(answer: &Path) {
    judge("lint_ocsp_response", &[answer], &[]);
}

fn judge(linter: &str, arguments: &[&Path], allowed: &[&str]) {
    judge_with(linter, &[], arguments, allowed);
}

fn judge_with(linter: &str, options: &[&str], arguments: &[&Path], allowed: &[&str]) {
    let directory = std::env::var_os("CERTFLEET_PKILINT").map(PathBuf::from).expect(
        "CERTFLEET_PKILINT is not set: `make test` sets it, or python3 -m venv V && V/bin/pip install pkilint, and set \
         it to V/bin",
    );
    let output = Command::new(directory.join(linter))
        .args(["lint", "--severity", "ERROR", "--format", "CSV"])
        .args(options)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{linter}: {error}"));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let errors = String::from_utf8_lossy(&output.stderr);
    let header = lines.next();
    assert_eq!(
        header,
        Some("node_path,validator,severity,code,message"),
        "{linter}: {errors}"
    );
    let found: Vec<&str> = lines
        .filter(|line| !line.is_empty())
        .filter(|line| {
            line.split(',')
                .nth(3)
                .is_none_or(|code| !allowed.contains(&code))
        })
        .collect();
    assert!(found.is_empty(), "{linter} {arguments:?}: {found:#?}");
}
