//! Nonces (RFC 8555 §6.5, §7.2): good on every replica, good once, and good for a while.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use certfleet_acme::{NonceKey, NonceKeys};
use certfleet_domain::ProblemKind::BadNonce;
use certfleet_domain::{Clock, SystemClock, SystemRng, Timestamp};
use certfleet_system_tests::acme::{Account, Acme, Answer, JOSE_JSON};
use certfleet_system_tests::{Cluster, replicas};
use http::Method;
use http::header::CONTENT_TYPE;
use time::Duration;

/// A cheap request with this nonce.
async fn spend(acme: &Acme, account: &Account, nonce: &str) -> Result<Answer> {
    let body = account
        .key
        .sign_request(&account.kid(), Some(nonce), &account.url, b"")?;
    acme.send(&account.url, body).await
}

#[tokio::test]
async fn new_nonce_answers_200_to_head_and_204_to_get_and_is_never_cached() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let url = &acme.directory().new_nonce;
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204)] {
        let request = acme.http().request(method.clone(), url);
        let answer = Answer::read(request.send().await?).await?.expect(status)?;
        ensure!(answer.body.is_empty(), "{method}: there is a body");
        ensure!(
            answer.header("cache-control") == Some("no-store"),
            "{method}: it may be cached"
        );
        ensure!(
            answer.links("index") == [acme.index()],
            "{method}: Link: index"
        );
        let nonce = answer.nonce().context("no Replay-Nonce")?;
        spend(&acme, &account, nonce).await?.expect(200)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_nonce_of_one_replica_is_taken_by_the_other_and_then_by_none() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let each = replicas::clients_of_each(&cluster, 1).await?;
    ensure!(each.len() == 2, "two API replicas are due");
    let (one, other) = (&each[0][0], &each[1][0]);
    let account = one.new_account().await?;
    for (mints, spends) in [(one, other), (other, one)] {
        let nonce = mints.new_nonce().await?;
        spend(spends, &account, &nonce).await?.expect(200)?;
        for replica in [one, other] {
            let answer = spend(replica, &account, &nonce).await?;
            let problem = answer.expect_problem(400, BadNonce)?;
            ensure!(problem.detail.contains("used before"), "{}", problem.detail);
            let fresh = answer.nonce().context("no Replay-Nonce with badNonce")?;
            spend(replica, &account, fresh).await?.expect(200)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_forged_or_mangled_nonce_is_refused() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let good = BASE64URL.decode(acme.new_nonce().await?)?;
    let mut forged: Vec<Vec<u8>> = (0..good.len())
        .step_by(5)
        .map(|place| {
            let mut octets = good.clone();
            octets[place] ^= 0x10;
            octets
        })
        .collect();
    forged.extend([
        vec![],
        vec![0; good.len()],
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
    ]);
    for octets in forged {
        let answer = spend(&acme, &account, &BASE64URL.encode(&octets)).await?;
        answer
            .expect_problem(400, BadNonce)
            .with_context(|| format!("{octets:02x?}"))?;
    }
    // What was tried with its marks altered was not spent by that.
    spend(&acme, &account, &BASE64URL.encode(good))
        .await?
        .expect(200)?;
    Ok(())
}

/// Nonces as a replica would have minted them at another time.
struct Mint(NonceKeys);

impl Mint {
    async fn of(cluster: &Cluster) -> Result<Self> {
        let secrets = cluster.opened_secrets().await?;
        let is_nonce_key = |name: &str| name.starts_with("nonce-key/");
        let (name, secret) = secrets
            .iter()
            .find(|(name, _)| is_nonce_key(name))
            .context("no nonce key")?;
        let id = name.trim_start_matches("nonce-key/").parse()?;
        let key = NonceKey::new(id, secret.expose().try_into()?);
        Ok(Self(NonceKeys::new(key, Vec::new())?))
    }

    fn at(&self, moment: Timestamp) -> String {
        self.0.mint(moment, &mut SystemRng)
    }
}

#[tokio::test]
async fn a_nonce_is_good_for_an_hour_whatever_the_replicas_clocks_say_within_five_minutes()
-> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let mint = Mint::of(&cluster).await?;
    let now = SystemClock.now();
    for good in [Duration::ZERO, Duration::minutes(-58), Duration::minutes(4)] {
        spend(&acme, &account, &mint.at(now + good))
            .await?
            .expect(200)?;
    }
    for (bad, says) in [
        (Duration::minutes(-61), "expired"),
        (Duration::days(-365), "expired"),
        (Duration::minutes(6), "not valid yet"),
    ] {
        let problem = spend(&acme, &account, &mint.at(now + bad))
            .await?
            .expect_problem(400, BadNonce)?;
        ensure!(problem.detail.contains(says), "{bad}: {}", problem.detail);
    }
    Ok(())
}

#[tokio::test]
async fn every_answer_to_a_post_has_a_nonce_that_works() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let directory = acme.directory().clone();
    let base = directory
        .new_order
        .trim_end_matches("/new-order")
        .to_owned();
    let api = cluster.api().trim_end_matches('/').to_owned();
    let order = r#"{"identifiers":[{"type":"dns","value":"a.test"}]}"#;
    let signed = [
        (200, cluster.directory().to_owned(), ""),
        (204, directory.new_nonce.clone(), ""),
        (201, directory.new_order.clone(), order),
        (400, directory.new_order.clone(), "{}"),
        (400, directory.key_change.clone(), "{}"),
        (404, format!("{base}/order/0190"), ""),
        (404, format!("{base}/no-such-resource"), ""),
        (404, format!("{api}/acme/no-such-authority/new-order"), "{}"),
        (404, format!("{api}/no-such-path"), "{}"),
    ];
    for (status, url, payload) in signed {
        let nonce = acme.new_nonce().await?;
        let right =
            account
                .key
                .sign_request(&account.kid(), Some(&nonce), &url, payload.as_bytes())?;
        // And with what is not even a JWS.
        for (body, statuses) in [(right, &[status][..]), (String::new(), &[400, 404])] {
            let request = acme
                .http()
                .post(&url)
                .header(CONTENT_TYPE, JOSE_JSON)
                .body(body);
            let answer = Answer::read(request.send().await?).await?;
            let status = answer.status.as_u16();
            ensure!(
                statuses.contains(&status),
                "{url}: {status}: {}",
                answer.text()
            );
            let nonce = answer
                .nonce()
                .with_context(|| format!("{url}: {status} without Replay-Nonce"))?;
            spend(&acme, &account, nonce).await?.expect(200)?;
        }
    }
    Ok(())
}
