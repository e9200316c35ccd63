//! External account binding (RFC 8555 §7.3.4): who may have an account, how often a key does it, and what goes with it.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certfleet_acme::{SigningKey, bind};
use certfleet_domain::ProblemKind::{
    BadSignatureAlgorithm, ExternalAccountRequired, Malformed, Unauthorized,
};
use certfleet_system_tests::acme::{Account, Acme, Answer, Issued};
use certfleet_system_tests::{Cluster, fresh_name};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::support::{refused, succeeded};

/// A key, as the operator's command gives it.
struct Key {
    kid: String,
    octets: Vec<u8>,
}

/// An authority of its own, at which accounts have to be bound.
struct Bound<'c> {
    cluster: &'c Cluster,
    name: String,
    acme: Acme,
}

impl<'c> Bound<'c> {
    async fn new(cluster: &'c Cluster, name: &str) -> Result<Self> {
        succeeded(&cluster.certfleet(&["ca", "create", name])?)?;
        succeeded(&cluster.certfleet(&["eab", "require", name])?)?;
        let directory = format!("{}/acme/{name}/directory", cluster.api());
        Ok(Self {
            cluster,
            name: name.to_owned(),
            acme: Acme::connect(cluster.http()?, &directory).await?,
        })
    }

    fn key(&self, more: &[&str]) -> Result<Key> {
        key_of(self.cluster, &self.name, more)
    }

    fn binding(&self, key: &Key, account_key: &SigningKey) -> Value {
        let url = &self.acme.directory().new_account;
        bind(&key.kid, &key.octets, account_key.public(), url)
    }

    async fn new_account(&self, account_key: &SigningKey, binding: &Value) -> Result<Answer> {
        let wish = json!({ "termsOfServiceAgreed": true, "externalAccountBinding": binding });
        let url = &self.acme.directory().new_account;
        self.acme.post_by_key(account_key, url, &wish).await
    }

    /// The account of a new key, bound by this one.
    async fn account(&self, key: &Key) -> Result<Account> {
        let account_key = SigningKey::generate_p256()?;
        let binding = self.binding(key, &account_key);
        let made = self
            .new_account(&account_key, &binding)
            .await?
            .expect(201)?;
        Ok(Account {
            key: Arc::new(account_key),
            url: made.location()?,
        })
    }

    fn listed(&self, key: &Key) -> Result<Value> {
        let all = succeeded(&self.cluster.certfleet(&["eab", "list", "--json"])?)?;
        let all: Vec<Value> = serde_json::from_str(&all)?;
        let found = all.into_iter().find(|one| one["kid"] == key.kid.as_str());
        found.context("the key is not listed")
    }
}

fn key_of(cluster: &Cluster, authority: &str, more: &[&str]) -> Result<Key> {
    let create = ["eab", "create", "--json", "--authority", authority];
    let made = succeeded(&cluster.certfleet(&[&create[..], more].concat())?)?;
    let made: Value = serde_json::from_str(&made)?;
    let text = |name: &str| made[name].as_str().map(str::to_owned).context("no text");
    Ok(Key {
        kid: text("kid")?,
        octets: URL_SAFE_NO_PAD.decode(text("hmac_key")?)?,
    })
}

#[tokio::test]
async fn only_who_has_a_key_gets_an_account_and_once() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let bound = Bound::new(&cluster, "bound-once").await?;
    ensure!(bound.acme.directory().meta.external_account_required);
    let account_key = SigningKey::generate_p256()?;
    let without = json!({ "termsOfServiceAgreed": true });
    let url = bound.acme.directory().new_account.clone();
    bound
        .acme
        .post_by_key(&account_key, &url, &without)
        .await?
        .expect_problem(403, ExternalAccountRequired)?;

    let key = bound.key(&["--label", "the team of the tests"])?;
    let good = bound.binding(&key, &account_key);
    let wrong = Key {
        kid: key.kid.clone(),
        octets: b"another key than the one given".to_vec(),
    };
    let unknown = Key {
        kid: "0".repeat(32),
        octets: key.octets.clone(),
    };
    let stranger = SigningKey::generate_p256()?;
    let elsewhere = bind(
        &key.kid,
        &key.octets,
        account_key.public(),
        "https://elsewhere.example/new-account",
    );
    for (binding, status, kind) in [
        (bound.binding(&wrong, &account_key), 403, Unauthorized),
        (bound.binding(&unknown, &account_key), 403, Unauthorized),
        (elsewhere, 403, Unauthorized),
        // Somebody else's binding, read from the wire.
        (bound.binding(&key, &stranger), 400, Malformed),
        (json!({ "kid": key.kid }), 400, Malformed),
        (json!("binding"), 400, Malformed),
        // The request's own way to sign is none for a binding.
        (
            json!({
                "protected": URL_SAFE_NO_PAD.encode(json!({ "alg": "ES256", "kid": key.kid, "url": url }).to_string()),
                "payload": good["payload"], "signature": good["signature"],
            }),
            400,
            BadSignatureAlgorithm,
        ),
    ] {
        bound
            .new_account(&account_key, &binding)
            .await?
            .expect_problem(status, kind)?;
    }
    ensure!(
        bound.listed(&key)?["left"] == 1,
        "a refusal has used the key"
    );

    let made = bound.new_account(&account_key, &good).await?.expect(201)?;
    // Asked again, as after an answer that was lost, it is the same account, and nothing is used.
    let again = bound.new_account(&account_key, &good).await?.expect(200)?;
    ensure!(again.location()? == made.location()?);
    let used = bound.binding(&key, &stranger);
    let said = bound
        .new_account(&stranger, &used)
        .await?
        .expect_problem(403, Unauthorized)?;
    ensure!(said.detail.contains("used as often"), "{}", said.detail);
    let listed = bound.listed(&key)?;
    ensure!(
        listed["status"] == "used" && listed["bound"] == 1 && listed["left"] == 0,
        "{listed}"
    );

    // Whose key is of another authority is nobody here.
    let default = key_of(&cluster, "default", &[])?;
    let binding = bound.binding(&default, &stranger);
    bound
        .new_account(&stranger, &binding)
        .await?
        .expect_problem(403, Unauthorized)?;
    // What has expired binds nothing.
    let short = bound.key(&["--expires-in", "1ms"])?;
    let said = bound
        .new_account(&stranger, &bound.binding(&short, &stranger))
        .await?
        .expect_problem(403, Unauthorized)?;
    ensure!(said.detail.contains("expired"), "{}", said.detail);
    Ok(())
}

#[tokio::test]
async fn of_many_at_once_on_all_replicas_as_many_are_bound_as_the_key_is_for() -> Result<()> {
    const CLIENTS: u32 = 24;
    const ACCOUNTS: u32 = 5;
    let cluster = Cluster::shared().await?;
    let bound = Bound::new(&cluster, "bound-race").await?;
    let key = bound.key(&["--accounts", "5"])?;
    let ask = async |_| -> Result<u16> {
        let account_key = SigningKey::generate_p256()?;
        let binding = bound.binding(&key, &account_key);
        Ok(bound
            .new_account(&account_key, &binding)
            .await?
            .status
            .as_u16())
    };
    let answers = try_join_all((0..CLIENTS).map(ask)).await?;
    let of = |status| answers.iter().filter(|given| **given == status).count();
    ensure!(
        of(201) == ACCOUNTS as usize && of(403) == (CLIENTS - ACCOUNTS) as usize,
        "{answers:?}"
    );
    let listed = bound.listed(&key)?;
    ensure!(
        listed["bound"] == ACCOUNTS && listed["left"] == 0,
        "{listed}"
    );
    Ok(())
}

#[tokio::test]
async fn with_a_key_go_its_accounts_and_if_asked_their_certificates() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let bound = Bound::new(&cluster, "bound-gone").await?;
    let key = bound.key(&["--accounts", "10"])?;
    let other = bound.key(&[])?;
    let (first, second) = (bound.account(&key).await?, bound.account(&key).await?);
    let stays = bound.account(&other).await?;
    let mut issued = Vec::new();
    for account in [&first, &second, &stays] {
        let name = fresh_name("bound");
        issued.push(
            bound
                .acme
                .issue(account, &[&name], cluster.answers())
                .await?,
        );
    }
    let revoke = |more: &[&str]| -> Result<Value> {
        let arguments = [&["eab", "revoke", &key.kid, "--json"], more].concat();
        Ok(serde_json::from_str(&succeeded(
            &cluster.certfleet(&arguments)?,
        )?)?)
    };
    let certificates = ["--certificates", "--reason", "cessationOfOperation"];
    let look = revoke(&[&certificates[..], &["--dry-run"]].concat())?;
    ensure!(look["accounts"] == 2 && look["certificates"] == 2, "{look}");
    ensure!(bound.listed(&key)?["status"] == "active");

    let done = revoke(&[])?;
    ensure!(done["accounts"] == 2 && done["certificates"] == 0, "{done}");
    for account in [&first, &second] {
        bound
            .acme
            .read(account, &account.url)
            .await?
            .expect_problem(401, Unauthorized)?;
    }
    bound.acme.read(&stays, &stays.url).await?.expect(200)?;
    let late = SigningKey::generate_p256()?;
    let said = bound
        .new_account(&late, &bound.binding(&key, &late))
        .await?
        .expect_problem(403, Unauthorized)?;
    ensure!(said.detail.contains("revoked"), "{}", said.detail);
    // The accounts are gone already; now what they have.
    let done = revoke(&certificates)?;
    ensure!(done["accounts"] == 0 && done["certificates"] == 2, "{done}");
    let done = revoke(&certificates)?;
    ensure!(done["accounts"] == 0 && done["certificates"] == 0, "{done}");
    let serial = |issued: &Issued| -> Result<String> {
        let (_, certificate) = x509_parser::parse_x509_certificate(&issued.certificate)?;
        Ok(hex::encode(certificate.raw_serial()))
    };
    for (issued, status) in issued.iter().zip(["revoked", "revoked", "issued"]) {
        let shown = succeeded(&cluster.certfleet(&[
            "inspect",
            "certificate",
            &serial(issued)?,
            "--json",
        ])?)?;
        let shown: Value = serde_json::from_str(&shown)?;
        ensure!(shown["status"] == status, "{shown}");
    }

    let unknown = refused(&cluster.certfleet(&["eab", "revoke", &"0".repeat(32)])?)?;
    ensure!(unknown.contains("there is no key"), "{unknown}");
    Ok(())
}
