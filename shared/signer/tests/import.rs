//! Keys as openssl writes them, in each of its formats, and those that are refused.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::process::Command;

use certfleet_pki::{SignatureAlgorithm, Signer, WeakKey};
use certfleet_signer::{InternalKey, KeyError};

/// The standard output of `openssl` with these arguments, fed with `input`.
fn openssl(arguments: &str, input: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("in.pem"), input).unwrap();
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory.path())
        .output()
        .unwrap_or_else(|error| panic!("these tests need the openssl command: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn genpkey(options: &str) -> String {
    openssl(&format!("genpkey {options}"), "")
}

/// The key's public half, as openssl sees it.
fn public_half(pem_text: &str) -> Vec<u8> {
    let public = openssl("pkey -in in.pem -pubout", pem_text);
    pem::parse(public).unwrap().into_contents()
}

const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";
const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";

#[test]
fn every_format_of_a_good_key_is_read() {
    for (options, algorithm) in [
        (P256, SignatureAlgorithm::EcdsaP256Sha256),
        (P384, SignatureAlgorithm::EcdsaP384Sha384),
        (RSA, SignatureAlgorithm::RsaPkcs1Sha256),
    ] {
        let pkcs8 = genpkey(options);
        let traditional = openssl("pkey -in in.pem -traditional", &pkcs8);
        assert!(!traditional.contains("BEGIN PRIVATE KEY"));
        for text in [&pkcs8, &traditional] {
            let key = InternalKey::from_pem(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(key.spki_der(), public_half(text));
            // What is kept is PKCS#8, whatever was read.
            let kept = InternalKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
            assert_eq!(kept.spki_der(), key.spki_der());
        }
    }
}

#[test]
fn other_blocks_are_passed_over() {
    let with_parameters = openssl("ecparam -name prime256v1 -genkey", "");
    assert!(with_parameters.contains("EC PARAMETERS"));
    assert!(InternalKey::from_pem(&with_parameters).is_ok());
}

#[test]
fn encrypted_keys_are_named_as_such() {
    let plain = genpkey(RSA);
    for options in [
        "pkey -in in.pem -aes256 -passout pass:secret",
        "rsa -in in.pem -traditional -aes256 -passout pass:secret",
    ] {
        let encrypted = openssl(options, &plain);
        let error = InternalKey::from_pem(&encrypted).err();
        assert_eq!(error, Some(KeyError::Encrypted), "{options}");
    }
}

#[test]
fn keys_that_authorities_may_not_have_are_refused() {
    for options in [
        "-algorithm ED25519",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-521",
        "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
    ] {
        let error = InternalKey::from_pem(&genpkey(options)).err();
        assert_eq!(error, Some(KeyError::Unsupported), "{options}");
    }
    let exponent_3 = genpkey(&format!("{RSA} -pkeyopt rsa_keygen_pubexp:3"));
    let error = InternalKey::from_pem(&exponent_3).err();
    assert_eq!(error, Some(KeyError::Weak(WeakKey::RsaExponent)));
}

#[test]
fn text_without_exactly_one_key_is_refused() {
    let key = genpkey(P256);
    let two = format!("{key}{key}");
    let public = openssl("pkey -in in.pem -pubout", &key);
    for text in ["", "nothing", &two, &public] {
        let error = InternalKey::from_pem(text).err();
        assert!(matches!(error, Some(KeyError::NotPem(_))), "{error:?}");
    }
}
