//! No secret lies in clear in the database or in a log: neither those that are known, in any usual form, nor anything
//! that looks like a private key.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use certfleet_acme::{Algorithm, SigningKey};
use certfleet_secrets::read_kek_file;
use certfleet_system_tests::acme::Csr;
use certfleet_system_tests::{Cluster, fresh_name};
use rcgen::KeyPair;

/// How every private key begins or goes on, in clear: PEM, PKCS#8 (RFC 5958) for each kind of key, SEC 1, and the
/// private members of a JWK.
const MARKS: &[(&str, &[u8])] = &[
    ("a PEM private key", b"PRIVATE KEY-----"),
    (
        "a PKCS#8 key on P-256",
        b"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08",
    ),
    (
        "a PKCS#8 key on P-384",
        b"\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05",
    ),
    (
        "a PKCS#8 RSA key",
        b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04",
    ),
    (
        "a PKCS#8 Ed25519 key",
        b"\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
    ),
    (
        "a PKCS#8 Ed25519 key, version 2",
        b"\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
    ),
    ("a SEC 1 key of 32 octets", b"\x02\x01\x01\x04\x20"),
    ("a SEC 1 key of 48 octets", b"\x02\x01\x01\x04\x30"),
    ("a JWK's private member", b"\"d\":\""),
];

/// How much of a form has to be the same to look at the rest.
const HEAD: usize = 8;

/// Looks for many texts at once.
#[derive(Default)]
struct Search {
    by_head: HashMap<[u8; HEAD], Vec<(String, Vec<u8>)>>,
    short: Vec<(String, Vec<u8>)>,
}

impl Search {
    fn add(&mut self, what: &str, form: &[u8]) {
        let entry = (what.to_owned(), form.to_vec());
        match form.first_chunk::<HEAD>() {
            Some(head) => self.by_head.entry(*head).or_default().push(entry),
            None => self.short.push(entry),
        }
    }

    /// A secret in every usual form: as it is, in hex, and in both alphabets of base64, also as a part of something
    /// larger that was encoded as a whole.
    fn add_secret(&mut self, what: &str, secret: &[u8]) {
        self.add(what, secret);
        for hex in [hex::encode(secret), hex::encode_upper(secret)] {
            self.add(&format!("{what}, in hex"), hex.as_bytes());
        }
        for skipped in 0..3 {
            let rest = secret.get(skipped..).unwrap_or_default();
            let whole = &rest[..rest.len() / 3 * 3];
            for form in [STANDARD_NO_PAD.encode(whole), URL_SAFE_NO_PAD.encode(whole)] {
                self.add(&format!("{what}, in base64"), form.as_bytes());
            }
        }
    }

    /// All that is found in a text.
    fn find(&self, text: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (at, head) in text.windows(HEAD).enumerate() {
            let Some(candidates) = head.first_chunk().and_then(|head| self.by_head.get(head))
            else {
                continue;
            };
            for (what, form) in candidates {
                if text[at..].starts_with(form) {
                    found.insert(what.as_str());
                }
            }
        }
        for (what, form) in &self.short {
            if text.windows(form.len()).any(|window| window == form) {
                found.insert(what.as_str());
            }
        }
        found
    }
}

/// The number that is an elliptic curve's private key, out of its PKCS#8 form.
fn scalar(pkcs8: &[u8]) -> Option<&[u8]> {
    [(b"\x02\x01\x01\x04\x20", 32), (b"\x02\x01\x01\x04\x30", 48)]
        .iter()
        .find_map(|(mark, length)| {
            let at = pkcs8
                .windows(mark.len())
                .position(|window| window == *mark)?;
            pkcs8.get(at + mark.len()..at + mark.len() + length)
        })
}

/// What is known to be secret in the cluster, and what of it is a key, its number as well.
async fn known_secrets(cluster: &Cluster) -> Result<Search> {
    let mut search = Search::default();
    for (what, mark) in MARKS {
        search.add(what, mark);
    }
    let mut add_key = |what: &str, pkcs8: &[u8]| {
        search.add_secret(what, pkcs8);
        if let Some(scalar) = scalar(pkcs8) {
            search.add_secret(&format!("{what}'s number"), scalar);
        }
    };
    let opened = cluster.opened_secrets().await?;
    for due in [
        "issuer-key/",
        "root-key/",
        "server-certificate/",
        "nonce-key/",
    ] {
        ensure!(
            opened.iter().any(|(name, _)| name.starts_with(due)),
            "no secret {due}"
        );
    }
    for (name, secret) in &opened {
        if name.starts_with("server-certificate/") {
            let (_, pem) = x509_parser::pem::parse_x509_pem(secret.expose())?;
            ensure!(
                pem.label.contains("PRIVATE KEY"),
                "{name} begins with {}",
                pem.label
            );
            add_key(name, &pem.contents);
        } else {
            add_key(name, secret.expose());
        }
    }
    // Whether as text or as octets, the file's content is the KEK.
    let file = std::fs::read_to_string(cluster.kek_file())?;
    read_kek_file(cluster.kek_file())?;
    let octets = hex::decode(file.trim()).context("the KEK's file is not hex")?;
    ensure!(octets.len() == 32, "a KEK of {} octets", octets.len());
    search.add_secret("the KEK", &octets);
    Ok(search)
}

#[tokio::test]
async fn no_secret_lies_in_clear_in_any_collection_or_log() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account_key = KeyPair::generate()?;
    let signing = SigningKey::from_pkcs8(Algorithm::Es256, account_key.serialized_der())?;
    let account = acme.account_of(signing).await?;
    let names = [fresh_name("secrets")];
    let (url, order) = acme
        .ready_order(&account, &names, cluster.answers())
        .await?;
    let issued = acme
        .complete(&account, &url, &order, Csr::new(&names)?)
        .await?;
    acme.revoke(&account, &issued.certificate, Some(1))
        .await?
        .expect(200)?;

    let mut search = known_secrets(&cluster).await?;
    for (what, key) in [
        ("the account's key", &account_key),
        ("the certificate's key", &issued.csr.key),
    ] {
        search.add_secret(what, key.serialized_der());
        search.add_secret(what, scalar(key.serialized_der()).context("no number")?);
    }
    // What has to be there, so that it is known that what is there is found.
    search.add("the certificate", &issued.certificate);

    let mut seen = false;
    let mut collections = BTreeSet::new();
    for (collection, document) in cluster.database().await?.all().await? {
        let mut found = search.find(&document.to_vec()?);
        seen |= found.remove("the certificate");
        ensure!(
            found.is_empty(),
            "{collection} {:?}: {found:?}",
            document.get("_id")
        );
        collections.insert(collection);
    }
    ensure!(
        seen,
        "the certificate was not found in the database: nor would a secret be"
    );
    for due in [
        "accounts",
        "authorities",
        "certificates",
        "jobs",
        "nonces",
        "orders",
        "secrets",
    ] {
        ensure!(
            collections.contains(due),
            "the collection {due} is empty or not there"
        );
    }

    let mut logs = 0;
    for entry in std::fs::read_dir(cluster.logs())?.chain(std::fs::read_dir(cluster.data())?) {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let found = search.find(&std::fs::read(&path)?);
            ensure!(found.is_empty(), "{}: {found:?}", path.display());
            logs += 1;
        }
    }
    ensure!(logs >= 6, "only {logs} logs were read");
    Ok(())
}

#[test]
fn a_secret_is_found_in_each_of_its_forms_wherever_it_stands() {
    let secret: Vec<u8> = (0..32_u8)
        .map(|number| number.wrapping_mul(7).wrapping_add(0xb0))
        .collect();
    let mut search = Search::default();
    search.add_secret("it", &secret);
    let within = |before: &[u8]| [before, &secret, b"behind"].concat();
    for before in [&b""[..], b"1", b"22", b"333", b"4444"] {
        let text = within(before);
        let forms = [
            text.clone(),
            hex::encode(&text).into_bytes(),
            hex::encode_upper(&text).into_bytes(),
            STANDARD_NO_PAD.encode(&text).into_bytes(),
            URL_SAFE_NO_PAD.encode(&text).into_bytes(),
        ];
        for form in forms {
            assert!(
                !search.find(&form).is_empty(),
                "not found behind {before:?}"
            );
        }
    }
    assert!(search.find(b"nothing of the kind in here").is_empty());
}
