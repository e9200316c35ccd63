//! Every way in which a CSR can be wrong (RFC 8555 §7.4). The order stays ready, and the right CSR is taken after all.

use anyhow::{Context as _, Result, ensure};
use certfleet_acme::{Algorithm, SigningKey};
use certfleet_domain::OrderStatus;
use certfleet_domain::ProblemKind::{BadCsr, Malformed};
use certfleet_system_tests::acme::{Account, Csr};
use certfleet_system_tests::{Cluster, fresh_name};
use rcgen::KeyPair;
use serde_json::json;

use crate::support::openssl;

/// A CSR made by OpenSSL: with this key and these extra arguments.
fn by_openssl(name: &str, new_key: &[&str], more: &[&str]) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir()?;
    let key = directory.path().join("key.pem");
    let key = key.to_str().context("path")?;
    openssl(&[&["genpkey", "-out", key], new_key].concat())?;
    let san = format!("subjectAltName=DNS:{name}");
    let request = [
        "req", "-new", "-key", key, "-subj", "/", "-addext", &san, "-outform", "DER",
    ];
    openssl(&[&request, more].concat())
}

#[tokio::test]
async fn each_bad_csr_is_refused_and_the_order_stays_ready() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account_key = KeyPair::generate()?;
    let signing = SigningKey::from_pkcs8(Algorithm::Es256, account_key.serialized_der())?;
    let account: Account = acme.account_of(signing).await?;
    let names = [fresh_name("csr"), fresh_name("csr")];
    let [first, second] = &names;
    let (url, order) = acme
        .ready_order(&account, &names, cluster.answers())
        .await?;

    let stranger = fresh_name("csr");
    let san = |names: &[&str]| Csr::new(names).map(|csr| csr.der);
    let mut spoiled = Csr::new(&names)?.der;
    *spoiled.last_mut().context("empty")? ^= 1;
    let mut longer = Csr::new(&names)?.der;
    longer.push(0);
    let key = |arguments: &str, more: &[&str]| {
        by_openssl(first, &arguments.split(' ').collect::<Vec<_>>(), more)
    };
    let p256 = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
    let rsa_1024 = "-algorithm RSA -pkeyopt rsa_keygen_bits:1024";
    let rsa_3 = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3";

    let cases = [
        ("a name is missing", san(&[first])?, "missing"),
        (
            "a name too many",
            san(&[first, second, &stranger])?,
            "not ordered",
        ),
        (
            "another name",
            san(&[first, &stranger])?,
            "not those of the order",
        ),
        ("no name at all", san(&[])?, "missing"),
        (
            "a wildcard of a name",
            san(&[first, &format!("*.{second}")])?,
            "not those of the order",
        ),
        (
            "a common name that was not ordered",
            Csr::with(&names, Some(&stranger), KeyPair::generate()?)?.der,
            "common name",
        ),
        ("RSA of 1024 bits", key(rsa_1024, &[])?, "1024 bits"),
        ("RSA with exponent 3", key(rsa_3, &[])?, "65537"),
        ("Ed25519", key("-algorithm ED25519", &[])?, "Ed25519"),
        (
            "P-521",
            key("-algorithm EC -pkeyopt ec_paramgen_curve:P-521", &[])?,
            "curve",
        ),
        ("SHA-1", key(p256, &["-sha1"])?, "SHA-1"),
        ("a spoiled signature", spoiled, "does not verify"),
        (
            "the account's own key",
            Csr::with(&names, None, account_key)?.der,
            "account's own key",
        ),
        ("something behind it", longer, "behind the end"),
        ("garbage", b"certificate request".to_vec(), "well-formed"),
        ("nothing", Vec::new(), "well-formed"),
    ];
    for (name, csr, says) in &cases {
        let answer = acme.finalize(&account, &order, csr).await?;
        let problem = answer
            .expect_problem(400, BadCsr)
            .with_context(|| (*name).to_owned())?;
        ensure!(problem.detail.contains(says), "{name}: {}", problem.detail);
        let order: certfleet_acme::messages::OrderResponse =
            acme.read(&account, &url).await?.json()?;
        ensure!(
            order.status == OrderStatus::Ready,
            "{name}: the order is {:?}",
            order.status
        );
    }
    // What is not even octets is refused by its form.
    for payload in [
        json!({ "csr": "MII=" }),
        json!({ "csr": 7 }),
        json!({}),
        json!({ "csr": "-----BEGIN" }),
    ] {
        acme.post(&account, &order.finalize, &payload)
            .await?
            .expect_problem(400, Malformed)?;
    }

    let right = Csr::with(&names, Some(second), KeyPair::generate()?)?;
    acme.complete(&account, &url, &order, right).await?;
    Ok(())
}

/// Extensions other than names and must-staple are ignored: asking to be a CA makes none.
#[tokio::test]
async fn extensions_that_do_not_count_are_not_copied() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let name = fresh_name("csr");
    let (url, order) = acme
        .ready_order(&account, &[&name], cluster.answers())
        .await?;
    let asks = [
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign",
        "-addext",
        "extendedKeyUsage=codeSigning",
    ];
    let new_key = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let csr = by_openssl(&name, &new_key, &asks)?;
    acme.finalize(&account, &order, &csr).await?.expect(200)?;
    let order = acme.decided(&account, &url).await?;
    let certificate = order.certificate.context("no certificate")?;
    let pem = acme.read(&account, &certificate).await?.expect(200)?.text();
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes())?;
    let parsed = pem.parse_x509()?;
    let ca = parsed
        .basic_constraints()?
        .is_some_and(|constraints| constraints.value.ca);
    ensure!(!ca, "it is a CA");
    let usage = parsed.key_usage()?.context("no key usage")?.value;
    ensure!(
        usage.digital_signature() && !usage.key_cert_sign(),
        "{usage}"
    );
    let extended = parsed
        .extended_key_usage()?
        .context("no extended key usage")?
        .value;
    ensure!(
        extended.server_auth && !extended.code_signing,
        "{extended:?}"
    );
    Ok(())
}
