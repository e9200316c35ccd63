//! Several authorities in one cluster: made and imported by the operator's command, each with a directory of its own,
//! and nothing of one known at another.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use certfleet_domain::ProblemKind::{AccountDoesNotExist, Malformed};
use certfleet_system_tests::acme::{Account, Acme, identifiers};
use certfleet_system_tests::{Cluster, fresh_name};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{openssl, refused, succeeded};

const CA: [&str; 4] = [
    "-addext",
    "basicConstraints=critical,CA:TRUE",
    "-addext",
    "keyUsage=critical,keyCertSign,cRLSign",
];

/// A root and an intermediate as another program makes them.
struct Elsewhere(TempDir);

impl Elsewhere {
    fn make() -> Result<Self> {
        let made = Self(tempfile::tempdir()?);
        let (root, root_key) = (made.path("root.pem"), made.path("root.key"));
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"];
        let subject = ["-subj", "/O=Elsewhere/CN=Elsewhere Root", "-days", "3650"];
        let to = ["-noenc", "-keyout", &root_key, "-out", &root];
        openssl(&[&["req", "-x509"][..], &curve, &subject, &to, &CA].concat())?;

        let (issuer, issuer_key) = (made.path("issuer.pem"), made.path("issuer.key"));
        let subject = ["-subj", "/O=Elsewhere/CN=Elsewhere Issuer", "-days", "900"];
        let by = ["-CA", &root, "-CAkey", &root_key];
        let to = ["-noenc", "-keyout", &issuer_key, "-out", &issuer];
        openssl(
            &[
                &["req", "-x509", "-newkey", "rsa:2048"][..],
                &subject,
                &by,
                &to,
                &CA,
            ]
            .concat(),
        )?;
        Ok(made)
    }

    fn path(&self, file: &str) -> String {
        self.0.path().join(file).display().to_string()
    }

    /// The arguments that import it: the root alone, or with the intermediate.
    fn import(&self, name: &str, chain: Option<&str>, key: &str) -> Vec<String> {
        let mut arguments = vec!["ca".to_owned(), "create".to_owned(), name.to_owned()];
        arguments.extend(["--import-root".to_owned(), self.path("root.pem")]);
        if let Some(chain) = chain {
            arguments.extend(["--import-chain".to_owned(), self.path(chain)]);
        }
        arguments.extend(["--import-key".to_owned(), self.path(key)]);
        arguments
    }
}

fn certfleet(cluster: &Cluster, arguments: &[String]) -> Result<std::process::Output> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    cluster.certfleet(&arguments)
}

async fn at(cluster: &Cluster, authority: &str) -> Result<Acme> {
    let directory = format!("{}/acme/{authority}/directory", cluster.api());
    Acme::connect(cluster.http()?, &directory).await
}

/// Whether OpenSSL takes a chain, as it came, for this name by this root.
fn verify(chain: &str, name: &str, root: &Path) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("chain.pem");
    std::fs::write(&file, chain)?;
    let (file, root) = (file.to_str(), root.to_str());
    let (file, root) = (file.context("path")?, root.context("path")?);
    let strict = ["verify", "-x509_strict", "-purpose", "sslserver"];
    let of = ["-verify_hostname", name, "-CAfile", root];
    openssl(&[&strict[..], &of, &["-untrusted", file, file]].concat())?;
    Ok(())
}

#[tokio::test]
async fn an_imported_authority_issues_under_its_own_root() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let elsewhere = Elsewhere::make()?;

    let wrong = elsewhere.import("imported", Some("issuer.pem"), "root.key");
    let said = refused(&certfleet(&cluster, &wrong)?)?;
    ensure!(said.contains("key"), "{said}");
    let upside_down = elsewhere.import("imported", Some("root.pem"), "issuer.key");
    refused(&certfleet(&cluster, &upside_down)?)?;
    let known = succeeded(&cluster.certfleet(&["ca", "list", "--json"])?)?;
    ensure!(!known.contains("imported"), "it is stored: {known}");

    let chained = elsewhere.import("imported", Some("issuer.pem"), "issuer.key");
    succeeded(&certfleet(&cluster, &chained)?)?;
    let said = refused(&certfleet(&cluster, &chained)?)?;
    ensure!(said.contains("imported"), "{said}");
    let alone = elsewhere.import("imported-root", None, "root.key");
    succeeded(&certfleet(&cluster, &alone)?)?;

    let known = succeeded(&cluster.certfleet(&["ca", "list", "--json"])?)?;
    for (authority, length) in [("imported", 2), ("imported-root", 1)] {
        ensure!(known.contains(&format!("\"{authority}\"")), "{known}");
        succeeded(&cluster.certfleet(&["ca", "test-sign", authority])?)?;
        let acme = at(&cluster, authority).await?;
        let account = acme.new_account().await?;
        let name = fresh_name("imported");
        let issued = acme.issue(&account, &[&name], cluster.answers()).await?;
        let certificates = issued.pem.matches("BEGIN CERTIFICATE").count();
        ensure!(
            certificates == length,
            "{authority}: a chain of {certificates}"
        );
        verify(&issued.pem, &name, Path::new(&elsewhere.path("root.pem")))?;
    }
    Ok(())
}

#[tokio::test]
async fn what_belongs_to_one_authority_is_unknown_at_another() -> Result<()> {
    let cluster = Cluster::shared().await?;
    succeeded(&cluster.certfleet(&["ca", "create", "second", "--key", "ecdsa-p384"])?)?;
    let (first, second) = (cluster.acme().await?, at(&cluster, "second").await?);
    let here = first.new_account().await?;
    let name = fresh_name("second");
    let issued = first.issue(&here, &[&name], cluster.answers()).await?;

    // The account, by its own URL and by the one that it would have there.
    let wish = json!({ "identifiers": identifiers(&[&name]) });
    let new_order = second.directory().new_order.clone();
    let moved = |url: &str| url.replace("/acme/default/", "/acme/second/");
    for url in [here.url.clone(), moved(&here.url)] {
        let account = Account {
            key: here.key.clone(),
            url,
        };
        second
            .post(&account, &new_order, &wish)
            .await?
            .expect_problem(400, AccountDoesNotExist)?;
    }
    let only_existing = json!({ "onlyReturnExisting": true });
    let new_account = second.directory().new_account.clone();
    second
        .post_by_key(&here.key, &new_account, &only_existing)
        .await?
        .expect_problem(400, AccountDoesNotExist)?;

    // The same key's account there is another one, with nothing in it, and the name is not proven for it.
    let key = certfleet_acme::SigningKey::generate_p256()?;
    let there = second.account_of(key).await?;
    ensure!(there.url.contains("/acme/second/"), "{}", there.url);
    for url in [&issued.order_url, &issued.url] {
        second
            .read(&there, &moved(url))
            .await?
            .expect_problem(404, Malformed)?;
    }
    let (_, order) = second.order_for(&there, &[&name]).await?;
    let authorization: Value = second
        .read(&there, &order.authorizations[0])
        .await?
        .expect(200)?
        .json()?;
    ensure!(authorization["status"] == "pending", "{authorization}");

    // Nor can its certificates be revoked there, not even by their own key.
    let revoke = second.directory().revoke_cert.clone();
    let payload = Acme::revocation(&issued.certificate, None)?;
    let by = second.post(&there, &revoke, &payload).await?;
    ensure!(by.status.is_client_error(), "{}", by.text());
    let still: Value = first
        .read(&here, &issued.order_url)
        .await?
        .expect(200)?
        .json()?;
    ensure!(still["status"] == "valid", "{still}");
    let revoked = first.revoke(&here, &issued.certificate, None).await?;
    revoked.expect(200)?;
    Ok(())
}
