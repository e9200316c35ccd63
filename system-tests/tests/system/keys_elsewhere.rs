//! Keys that are not in the machine: KEKs in a PKCS#11 token, in Vault and in KMS, and authorities' keys in tokens (SEC-2, SEC-4,
//! CA-1, CA-5). The token is SoftHSM2, Vault is its own core and transit engine, KMS is moto's.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bson::{Document, doc};
use certfleet_system_tests::acme::{Acme, Csr};
use certfleet_system_tests::{Cluster, Outsider, Plan, RelyingParty, fresh_name};
use certfleet_testkit::{Kms, SoftHsm, VaultServer};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::{openssl, refused, succeeded};

/// Longer than an answer of a KEK is believed, and an authority's last check counts.
const SEEN_WITHIN: Duration = Duration::from_secs(30);

/// A cluster, and where its keys may be.
struct Ground {
    cluster: Cluster,
    hsm: SoftHsm,
    vault: VaultServer,
    environment: Vec<(String, String)>,
    /// In a token, in Vault, in KMS.
    keks: [String; 3],
    _kms: Kms,
}

impl Ground {
    async fn new() -> Result<Self> {
        let (hsm, vault, kms) = (
            SoftHsm::new(),
            VaultServer::start().await,
            Kms::start().await,
        );
        hsm.make_aes("kek-1");
        vault.make_key("kek-1").await;
        let token_file = vault.token_file("kek-1").await;
        let key = kms.make_key().await;
        let others = [SoftHsm::uri("kek-1"), vault.source("kek-1"), key.clone()].join(",");
        let path = |path: std::path::PathBuf| path.display().to_string();
        let mut environment = vec![hsm.environment()];
        environment.extend(Kms::environment());
        for (name, value) in [
            ("KEK_OTHERS", others),
            ("KEK_VAULT_TOKEN_FILE", path(token_file)),
            ("KEK_AWS_ENDPOINT", kms.endpoint()),
            ("PKCS11_MODULE", path(SoftHsm::module())),
            ("PKCS11_PIN_FILE", path(hsm.pin_file())),
        ] {
            environment.push((format!("CERTFLEET_{name}"), value));
        }
        let mut plan = Plan::new("keys-elsewhere");
        plan.environment.clone_from(&environment);
        let id = key.rsplit('/').next().context("no id")?;
        let keks = [
            "pkcs11:certfleet/kek-1".to_owned(),
            "vault:transit/kek-1".to_owned(),
            format!("aws-kms:{}/{id}", Kms::REGION),
        ];
        Ok(Self {
            cluster: Cluster::start(plan).await?,
            hsm,
            vault,
            environment,
            keks,
            _kms: kms,
        })
    }

    fn certfleet(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.cluster.command()?;
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command.args(arguments).output()?)
    }

    fn told(&self, arguments: &[&str]) -> Result<Value> {
        let said = succeeded(&self.certfleet(&[arguments, &["--json"]].concat())?)?;
        Ok(serde_json::from_str(&said)?)
    }

    /// Has this KEK seal, and sees that nothing is left under another.
    async fn rotate(&self, kek: &str) -> Result<()> {
        let answer = self.told(&["kek", "rotate", "--to", kek])?;
        ensure!(answer["seals"] == kek && answer["left"] == 0, "{answer}");
        for secret in self.secrets().await? {
            ensure!(secret.get_str("kek")? == kek, "{secret}");
        }
        Ok(())
    }

    async fn secrets(&self) -> Result<Vec<Document>> {
        self.cluster
            .database()
            .await?
            .find("secrets", doc! {})
            .await
    }

    async fn acme_at(&self, authority: &str) -> Result<Acme> {
        let directory = format!("{}/acme/{authority}/directory", self.cluster.api());
        Acme::connect(self.cluster.http()?, &directory).await
    }

    async fn issue(&self) -> Result<()> {
        let acme = self.cluster.acme().await?;
        let account = acme.new_account().await?;
        let names = [fresh_name("elsewhere")];
        acme.issue(&account, &names, self.cluster.answers()).await?;
        Ok(())
    }
}

#[tokio::test]
async fn keks_and_authorities_keys_lie_in_tokens_and_at_services() -> Result<()> {
    let ground = Ground::new().await?;
    keks_lie_elsewhere(&ground).await.context("KEKs")?;
    an_authority_signs_in_a_token(&ground)
        .await
        .context("an authority")?;
    a_kek_of_the_same_name_is_told_from_the_right_one(&ground).await
}

/// From one place to the other; and away in the middle.
async fn keks_lie_elsewhere(ground: &Ground) -> Result<()> {
    let status = ground.told(&["kek", "status"])?;
    for kek in &ground.keks {
        let keks = status["keks"].as_array().context("no list")?;
        let found = keks.iter().find(|found| found["id"] == kek.as_str());
        ensure!(
            found.is_some_and(|found| found["held_by"] == 4),
            "{kek}: {status}"
        );
    }
    let first = status["seals"].as_str().context("none seals")?.to_owned();
    let [token, vault, kms] = &ground.keks;
    ground.rotate(token).await?;
    ground.issue().await?;
    ground.rotate(vault).await?;

    let home = tempfile::tempdir()?;
    let log = home.path().join("log");
    let mut api = Outsider::start(&ground.cluster, "api", &[], home.path(), &log)?;
    let ready = |status: u16, _: &str| status == 200;
    let names = |status: u16, said: &str| {
        status == 503 && said.contains(vault.as_str()) && said.contains("sealed")
    };
    api.await_probe("/readyz", ready).await?;
    let before = ground.secrets().await?;
    ground.vault.seal().await;
    api.await_probe("/readyz", names).await?;
    // One that starts meanwhile waits for it; and the operator is told.
    let other = tempfile::tempdir()?;
    let log = other.path().join("log");
    let mut starting = Outsider::start(&ground.cluster, "worker", &[], other.path(), &log)?;
    starting.await_probe("/readyz", names).await?;
    let said = refused(&ground.certfleet(&["ca", "test-sign", "default"])?)?;
    ensure!(
        said.contains(vault.as_str()) && said.contains("sealed"),
        "{said}"
    );
    ensure!(ground.secrets().await? == before, "something was written");
    ground.vault.unseal().await;
    api.await_probe("/readyz", ready).await?;
    starting.await_probe("/readyz", ready).await?;
    starting.end().await?;
    api.end().await?;
    ground.issue().await?;

    ground.rotate(kms).await?;
    ground.issue().await?;
    ground.rotate(&first).await?;
    ground.issue().await
}

/// Root and issuer in a token, the issuer's key in it twice.
async fn an_authority_signs_in_a_token(ground: &Ground) -> Result<()> {
    let (cluster, hsm) = (&ground.cluster, &ground.hsm);
    let none = ["ca", "create", "hsm", "--key", &SoftHsm::uri("none")];
    let said = refused(&ground.certfleet(&none)?)?;
    ensure!(said.contains("no key labelled none"), "{said}");

    hsm.make_pair("root", "EC:secp384r1");
    hsm.make_pair("other", "EC:prime256v1");
    let home = tempfile::tempdir()?;
    let pem = home.path().join("key.pem").display().to_string();
    openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        &pem,
    ])?;
    for (label, id) in [("issuer-a", "0a"), ("issuer-b", "0b")] {
        hsm.import_pair(label, id, &pem);
    }
    let [root, a, b, other] = ["root", "issuer-a", "issuer-b", "other"].map(SoftHsm::uri);
    let odd = [
        "ca",
        "create",
        "hsm",
        "--root-key",
        &root,
        "--key",
        &a,
        "--key",
        &other,
    ];
    let said = refused(&ground.certfleet(&odd)?)?;
    ensure!(said.contains("is not the key"), "{said}");
    let create = [
        "ca",
        "create",
        "hsm",
        "--root-key",
        &root,
        "--key",
        &a,
        "--key",
        &b,
    ];
    succeeded(&ground.certfleet(&create)?)?;
    let proof = ground.told(&["ca", "test-sign", "hsm"])?;
    ensure!(
        proof["key"].as_str().is_some_and(|key| key.contains(&a)),
        "{proof}"
    );
    // Without the module it is said what is due.
    let said = refused(&cluster.certfleet(&["ca", "test-sign", "hsm"])?)?;
    ensure!(said.contains("pkcs11.module"), "{said}");

    let root_file = home.path().join("root.pem");
    let out = root_file.display().to_string();
    succeeded(&ground.certfleet(&["ca", "root", "hsm", "--out", &out])?)?;
    let acme = ground.acme_at("hsm").await?;
    let account = acme.new_account().await?;
    let issued = acme
        .issue(&account, &[fresh_name("hsm")], cluster.answers())
        .await?;
    let party = RelyingParty::new(&root_file, &issued)?;
    acme.revoke(&account, &issued.certificate, None)
        .await?
        .expect(200)?;
    let until = Instant::now() + Duration::from_secs(60);
    while !party.ask_ocsp(&[])?.contains("revoked") {
        ensure!(
            Instant::now() < until,
            "OCSP does not say that it is revoked"
        );
        sleep(Duration::from_millis(250)).await;
    }

    // The first that has the key loses it: the second signs. And when the token is away, an order waits for it.
    hsm.delete_pair("issuer-a");
    acme.issue(&account, &[fresh_name("hsm")], cluster.answers())
        .await?;
    let name = [fresh_name("hsm")];
    let (url, order) = acme.ready_order(&account, &name, cluster.answers()).await?;
    hsm.plug(false);
    acme.finalize(&account, &order, &Csr::new(&name)?.der)
        .await?
        .expect(200)?;
    let until = Instant::now() + SEEN_WITHIN;
    loop {
        let jobs = ground.told(&["jobs", "list", "--kind", "signCertificate"])?;
        if jobs.to_string().contains("certfleet") {
            break;
        }
        ensure!(
            Instant::now() < until,
            "nobody says why nothing is signed: {jobs}"
        );
        sleep(Duration::from_millis(100)).await;
    }
    hsm.plug(true);
    let decided = acme.decided(&account, &url).await?;
    ensure!(decided.certificate.is_some(), "{decided:?}");
    Ok(())
}

/// The token was made anew, and somebody has made a key of the same name.
async fn a_kek_of_the_same_name_is_told_from_the_right_one(ground: &Ground) -> Result<()> {
    let token = &ground.keks[0];
    ground.rotate(token).await?;
    ground.hsm.delete_aes("kek-1");
    ground.hsm.make_aes("kek-1");
    let before = ground.secrets().await?;
    for service in ["api", "worker"] {
        let home = tempfile::tempdir()?;
        let log = home.path().join("log");
        let mut other = Outsider::start(&ground.cluster, service, &[], home.path(), &log)?;
        let names = |status: u16, said: &str| {
            status == 503
                && said.contains(token.as_str())
                && said.contains("another key of the same name")
        };
        other.await_probe("/readyz", names).await?;
    }
    let said = refused(&ground.certfleet(&["ca", "create", "late"])?)?;
    ensure!(said.contains(token.as_str()), "{said}");
    ensure!(ground.secrets().await? == before, "something was written");
    Ok(())
}
