//! Accounts (RFC 8555 §7.3): made once, found again, changed, given another key, given up; and the list of their orders.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_acme::{Algorithm, KeyChange, SigningKey};
use certfleet_domain::ProblemKind::{
    AccountDoesNotExist, BadPublicKey, InvalidContact, Malformed, Unauthorized, UnsupportedContact,
};
use certfleet_system_tests::acme::{Account, Acme, Answer};
use certfleet_system_tests::{Cluster, fresh_name, replicas};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

async fn new_account(acme: &Acme, key: &SigningKey, payload: &Value) -> Result<Answer> {
    let url = acme.directory().new_account.clone();
    acme.post_by_key(key, &url, payload).await
}

#[tokio::test]
async fn an_account_is_made_once_and_then_found() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let key = SigningKey::generate_p256()?;
    let find = json!({ "onlyReturnExisting": true });
    new_account(&acme, &key, &find)
        .await?
        .expect_problem(400, AccountDoesNotExist)?;

    let wish = json!({ "contact": ["mailto:Admin@Example.org"], "termsOfServiceAgreed": true, "unknown": 1 });
    let made = new_account(&acme, &key, &wish).await?.expect(201)?;
    let url = made.location()?;
    let due = json!({
        "status": "valid", "contact": ["mailto:Admin@example.org"], "termsOfServiceAgreed": true,
        "orders": format!("{url}/orders"),
    });
    ensure!(made.json::<Value>()? == due, "{}", made.text());

    // Other wishes do not change what there is (§7.3.1).
    let other = json!({ "contact": ["mailto:other@example.org"] });
    for payload in [&find, &other, &json!({})] {
        let found = new_account(&acme, &key, payload).await?.expect(200)?;
        ensure!(found.location()? == url, "{:?}", found.headers);
        ensure!(found.json::<Value>()? == due, "{}", found.text());
    }
    // As does not another algorithm's key: that is another account.
    let stranger = SigningKey::generate(Algorithm::EdDsa)?;
    let other = new_account(&acme, &stranger, &json!({}))
        .await?
        .expect(201)?;
    ensure!(other.location()? != url, "two keys, one account");
    Ok(())
}

#[tokio::test]
async fn of_many_changes_at_once_none_is_refused() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let change = async |number: usize| -> Result<()> {
        let contact = json!({ "contact": [format!("mailto:at-once-{number}@example.org")] });
        acme.post(&account, &account.url, &contact)
            .await?
            .expect(200)?;
        Ok(())
    };
    try_join_all((0..12).map(change)).await?;
    Ok(())
}

#[tokio::test]
async fn contacts_are_checked_and_replaced() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let many: Vec<String> = (0..11)
        .map(|number| format!("mailto:a{number}@example.org"))
        .collect();
    let cases = [
        (json!(["tel:+43123"]), UnsupportedContact),
        (json!(["https://example.org"]), UnsupportedContact),
        (json!(["mailto:a@b.example,c@d.example"]), InvalidContact),
        (json!(["mailto:a@b.example?subject=x"]), InvalidContact),
        (json!(["mailto:a@localhost"]), InvalidContact),
        (json!(["mailto:nobody"]), InvalidContact),
        (json!(many), InvalidContact),
        (json!("mailto:a@b.example"), Malformed),
    ];
    for (contact, kind) in cases {
        let payload = json!({ "contact": contact });
        acme.post(&account, &account.url, &payload)
            .await?
            .expect_problem(400, kind)?;
        let key = SigningKey::generate_p256()?;
        new_account(&acme, &key, &payload)
            .await?
            .expect_problem(400, kind)?;
    }
    for contact in [
        json!(["mailto:a@example.org", "mailto:b@example.org"]),
        json!(["mailto:c@example.org"]),
    ] {
        let payload = json!({ "contact": contact });
        let answer = acme
            .post(&account, &account.url, &payload)
            .await?
            .expect(200)?;
        ensure!(
            answer.json::<Value>()?["contact"] == contact,
            "{}",
            answer.text()
        );
        let read: Value = acme
            .read(&account, &account.url)
            .await?
            .expect(200)?
            .json()?;
        ensure!(read["contact"] == contact, "{read}");
    }
    let none = acme
        .post(&account, &account.url, &json!({ "contact": [] }))
        .await?
        .expect(200)?;
    ensure!(
        none.json::<Value>()?.get("contact").is_none(),
        "{}",
        none.text()
    );
    // What clients have no say in is ignored (§7.3.2).
    let payload = json!({ "status": "revoked", "orders": "https://other.test/", "termsOfServiceAgreed": false });
    let answer = acme
        .post(&account, &account.url, &payload)
        .await?
        .expect(200)?;
    ensure!(
        answer.json::<Value>()?["status"] == "valid",
        "{}",
        answer.text()
    );
    Ok(())
}

#[tokio::test]
async fn a_deactivated_account_can_do_nothing_any_more() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let (order, _) = acme
        .order_for(&account, &[fresh_name("deactivated")])
        .await?;
    let payload = json!({ "status": "deactivated" });
    let answer = acme
        .post(&account, &account.url, &payload)
        .await?
        .expect(200)?;
    ensure!(
        answer.json::<Value>()?["status"] == "deactivated",
        "{}",
        answer.text()
    );

    for url in [&account.url, &order, &format!("{}/orders", account.url)] {
        let problem = acme
            .read(&account, url)
            .await?
            .expect_problem(401, Unauthorized)?;
        ensure!(problem.detail.contains("deactivated"), "{}", problem.detail);
    }
    acme.post(
        &account,
        &acme.directory().new_order,
        &json!({ "identifiers": [] }),
    )
    .await?
    .expect_problem(401, Unauthorized)?;
    for payload in [json!({}), json!({ "onlyReturnExisting": true })] {
        new_account(&acme, &account.key, &payload)
            .await?
            .expect_problem(401, Unauthorized)?;
    }
    Ok(())
}

#[tokio::test]
async fn an_account_sees_and_changes_itself_only() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let (one, other) = (acme.new_account().await?, acme.new_account().await?);
    let deactivation = json!({ "status": "deactivated" });
    acme.read(&one, &other.url)
        .await?
        .expect_problem(403, Unauthorized)?;
    acme.post(&one, &other.url, &deactivation)
        .await?
        .expect_problem(403, Unauthorized)?;
    acme.read(&one, &format!("{}/orders", other.url))
        .await?
        .expect_problem(403, Unauthorized)?;
    acme.read(&other, &other.url).await?.expect(200)?;
    Ok(())
}

/// A key rollover whose messages can be made wrong.
struct Rollover<'a> {
    acme: &'a Acme,
    account: &'a Account,
    new_key: SigningKey,
    header: Value,
    payload: Value,
}

impl<'a> Rollover<'a> {
    fn new(acme: &'a Acme, account: &'a Account) -> Result<Self> {
        let new_key = SigningKey::generate_p256()?;
        Ok(Self {
            acme,
            account,
            header: json!({
                "alg": "ES256", "jwk": new_key.public().to_jwk(), "url": acme.directory().key_change,
            }),
            payload: json!({ "account": account.url, "oldKey": account.key.public().to_jwk() }),
            new_key,
        })
    }

    async fn send(&self) -> Result<Answer> {
        let payload = self.payload.to_string();
        let inner = self
            .new_key
            .sign_flattened(&self.header.to_string(), payload.as_bytes())?;
        let inner: Value = serde_json::from_str(&inner)?;
        self.acme
            .post(self.account, &self.acme.directory().key_change, &inner)
            .await
    }
}

/// Makes a rollover wrong, with the help of another account.
type Spoil = fn(&mut Rollover<'_>, &Account);

#[tokio::test]
async fn a_rollover_that_is_wrong_in_any_way_changes_nothing() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let (account, other) = (acme.new_account().await?, acme.new_account().await?);
    let wrong: &[(&str, Spoil)] = &[
        ("\"nonce\"", |rollover, _| {
            rollover.header["nonce"] = "AAAA".into();
        }),
        ("\"jwk\"", |rollover, _| {
            rollover.header["kid"] = rollover.account.url.clone().into();
            rollover.header.as_object_mut().unwrap().remove("jwk");
        }),
        ("signed for the URL", |rollover, _| {
            rollover.header["url"] = rollover.account.url.clone().into();
        }),
        ("not the account", |rollover, other| {
            rollover.payload["account"] = other.url.clone().into();
        }),
        ("not the account's key", |rollover, other| {
            rollover.payload["oldKey"] = other.key.public().to_jwk();
        }),
        ("oldKey", |rollover, _| {
            rollover.payload = json!({ "account": rollover.account.url });
        }),
        ("does not verify", |rollover, _| {
            rollover.new_key = SigningKey::generate_p256().unwrap();
        }),
        ("inner JWS", |rollover, _| {
            rollover.header["crit"] = json!([]);
        }),
    ];
    for (says, spoil) in wrong {
        let mut rollover = Rollover::new(&acme, &account)?;
        spoil(&mut rollover, &other);
        let answer = rollover.send().await?;
        let problem = answer.problem()?;
        let refused = problem.kind() == Some(Malformed) || problem.kind() == Some(Unauthorized);
        ensure!(
            refused && problem.detail.contains(says),
            "{says}: {} {}",
            problem.type_urn,
            problem.detail
        );
        acme.read(&account, &account.url).await?.expect(200)?;
    }
    // A key that cannot be an account's.
    let mut weak = Rollover::new(&acme, &account)?;
    weak.header["jwk"] = json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" });
    weak.send().await?.expect_problem(400, BadPublicKey)?;
    // The outer request by key instead of by account.
    let url = acme.directory().key_change.clone();
    acme.post_by_key(&account.key, &url, &json!({}))
        .await?
        .expect_problem(400, Malformed)?;
    Ok(())
}

#[tokio::test]
async fn after_a_rollover_the_new_key_counts_and_the_old_one_is_free() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let other = acme.new_account().await?;
    let url = acme.directory().key_change.clone();

    // To a key in use, be it another's or one's own: 409, with the account that has it (§7.3.5).
    for holder in [&other, &account] {
        let inner = KeyChange::sign(&account.url, account.key.public(), &holder.key, &url)?;
        let answer = acme
            .post(&account, &url, &serde_json::from_str(&inner)?)
            .await?;
        let problem = answer.problem()?;
        ensure!(
            answer.status == 409 && problem.kind() == Some(Malformed),
            "{}",
            answer.text()
        );
        ensure!(answer.location()? == holder.url, "{:?}", answer.headers);
    }

    let new_key = SigningKey::generate(Algorithm::Es384)?;
    let inner = KeyChange::sign(&account.url, account.key.public(), &new_key, &url)?;
    acme.post(&account, &url, &serde_json::from_str(&inner)?)
        .await?
        .expect(200)?;
    let renewed = Account {
        key: Arc::new(new_key),
        url: account.url.clone(),
    };
    acme.read(&renewed, &account.url).await?.expect(200)?;
    acme.read(&account, &account.url)
        .await?
        .expect_problem(400, certfleet_domain::ProblemKind::BadSignatureAlgorithm)?;
    acme.issue(&renewed, &[fresh_name("rollover")], cluster.answers())
        .await?;
    // The old key has no account now, and may get one of its own.
    let again = new_account(&acme, &account.key, &json!({}))
        .await?
        .expect(201)?;
    ensure!(
        again.location()? != account.url,
        "the old key still has the account"
    );
    Ok(())
}

#[tokio::test]
async fn two_accounts_that_roll_over_to_one_key_at_once_do_not_share_it() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let url = acme.directory().key_change.clone();
    for _ in 0..5 {
        let (one, other) = (acme.new_account().await?, acme.new_account().await?);
        let key = SigningKey::generate_p256()?;
        let roll = async |account: &Account| -> Result<Answer> {
            let inner = KeyChange::sign(&account.url, account.key.public(), &key, &url)?;
            acme.post(account, &url, &serde_json::from_str(&inner)?)
                .await
        };
        let (first, second) = tokio::try_join!(roll(&one), roll(&other))?;
        let mut statuses = [first.status.as_u16(), second.status.as_u16()];
        statuses.sort_unstable();
        ensure!(statuses == [200, 409], "{statuses:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_same_key_at_both_replicas_at_once_makes_one_account() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let each = replicas::clients_of_each(&cluster, 10).await?;
    let key = SigningKey::generate_p256()?;
    let payload = json!({ "termsOfServiceAgreed": true });
    let answers = try_join_all(
        each.iter()
            .flatten()
            .map(|acme| new_account(acme, &key, &payload)),
    )
    .await?;
    ensure!(answers.len() == 20, "{}", answers.len());
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let found = answers.iter().filter(|answer| answer.status == 200).count();
    ensure!((made, found) == (1, 19), "{made} made, {found} found");
    let url = answers[0].location()?;
    for answer in &answers {
        ensure!(answer.location()? == url, "{:?}", answer.headers);
    }
    let filter = doc! { "thumbprint": key.public().thumbprint() };
    ensure!(
        cluster.database().await?.count("accounts", filter).await? == 1,
        "several accounts"
    );
    Ok(())
}

#[tokio::test]
async fn the_list_of_orders_has_each_order_once_over_its_pages() -> Result<()> {
    const ORDERS: usize = 205;
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let list = format!("{}/orders", account.url);
    let empty: Value = acme.read(&account, &list).await?.expect(200)?.json()?;
    ensure!(empty == json!({ "orders": [] }), "{empty}");

    let name = fresh_name("list");
    let mut made = Vec::new();
    for _ in 0..ORDERS.div_ceil(16) {
        let some = (0..16).map(|_| acme.order_for(&account, std::slice::from_ref(&name)));
        made.extend(try_join_all(some).await?.into_iter().map(|(url, _)| url));
    }
    let mut listed: Vec<String> = Vec::new();
    let mut pages = 0;
    let mut next = Some(list.clone());
    while let Some(url) = next {
        let answer = acme.read(&account, &url).await?.expect(200)?;
        let page: Value = answer.json()?;
        for order in page["orders"].as_array().context("orders")? {
            listed.push(order.as_str().context("URL")?.to_owned());
        }
        pages += 1;
        next = answer.links("next").first().cloned();
    }
    ensure!(pages == made.len().div_ceil(100), "{pages} pages");
    made.sort_unstable();
    listed.sort_unstable();
    ensure!(
        listed == made,
        "{} listed, {} made",
        listed.len(),
        made.len()
    );
    for query in ["after=nonsense", "after=a&after=b"] {
        acme.read(&account, &format!("{list}?{query}"))
            .await?
            .expect_problem(400, Malformed)?;
    }
    for path in ["%ff", "%c3%28/orders"] {
        let url = account.url.rsplit_once('/').context("a URL")?.0;
        acme.read(&account, &format!("{url}/{path}"))
            .await?
            .expect_problem(404, Malformed)?;
    }
    Ok(())
}
