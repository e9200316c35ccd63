//! What must come out once, however often and on however many replicas it is asked for at the same moment.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use bson::doc;
use certfleet_acme::messages::OrderResponse;
use certfleet_domain::ProblemKind::{BadNonce, OrderNotReady};
use certfleet_domain::{OrderStatus, ProblemKind};
use certfleet_system_tests::acme::{Acme, Answer, Csr};
use certfleet_system_tests::{Cluster, fresh_name, replicas};
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rcgen::PublicKeyData as _;

use super::id_of;

#[tokio::test]
async fn one_account_with_32_orders_at_once_gets_32_certificates() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let clients: Vec<Acme> = replicas::clients_of_each(&cluster, 16)
        .await?
        .into_iter()
        .flatten()
        .collect();
    let account = clients[0].new_account().await?;
    let flows = clients.iter().map(|acme| {
        let names = [fresh_name("many")];
        let (account, answers) = (&account, cluster.answers());
        async move { acme.issue(account, &names, answers).await }
    });
    let issued = try_join_all(flows).await?;
    ensure!(issued.len() == 32, "{}", issued.len());
    let distinct: BTreeSet<&[u8]> = issued
        .iter()
        .map(|issued| issued.certificate.as_slice())
        .collect();
    ensure!(distinct.len() == 32, "{} certificates", distinct.len());

    let of_account = doc! { "account": id_of(&account.url)? };
    let certificates = cluster
        .database()
        .await?
        .find("certificates", of_account)
        .await?;
    let serials: BTreeSet<&str> = certificates
        .iter()
        .filter_map(|certificate| certificate.get_str("serial").ok())
        .collect();
    ensure!(
        certificates.len() == 32 && serials.len() == 32,
        "{} stored",
        certificates.len()
    );
    Ok(())
}

/// Sends the CSRs to finalize, each from a client of its own, at the same moment.
async fn finalize_at_once(
    clients: &[Acme],
    account: &certfleet_system_tests::acme::Account,
    order: &OrderResponse,
    csrs: &[&Csr],
) -> Result<Vec<Answer>> {
    // Nonces first, so that nothing but the finalization is between them.
    for acme in clients {
        let nonce = acme.new_nonce().await?;
        acme.keep(nonce);
    }
    let requests = clients
        .iter()
        .zip(csrs)
        .map(|(acme, csr)| acme.finalize(account, order, &csr.der));
    try_join_all(requests).await
}

#[tokio::test]
async fn one_order_finalized_50_times_at_once_with_one_csr_gives_one_certificate_to_all()
-> Result<()> {
    let cluster = Cluster::shared().await?;
    let clients: Vec<Acme> = replicas::clients_of_each(&cluster, 25)
        .await?
        .into_iter()
        .flatten()
        .collect();
    let account = clients[0].new_account().await?;
    let name = [fresh_name("finalize")];
    let (url, order) = clients[0]
        .ready_order(&account, &name, cluster.answers())
        .await?;
    let csr = Csr::new(&name)?;
    let answers = finalize_at_once(&clients, &account, &order, &[&csr; 50]).await?;
    ensure!(answers.len() == 50, "{}", answers.len());
    for answer in answers {
        let order: OrderResponse = answer.expect(200)?.json()?;
        let sane = matches!(order.status, OrderStatus::Processing | OrderStatus::Valid);
        ensure!(sane, "{:?}", order.status);
    }
    let stored = doc! { "order": id_of(&url)? };
    clients[0].complete(&account, &url, &order, csr).await?;
    ensure!(
        cluster
            .database()
            .await?
            .count("certificates", stored)
            .await?
            == 1,
        "several certificates"
    );
    Ok(())
}

#[tokio::test]
async fn one_order_finalized_at_once_with_25_csrs_is_decided_for_one_of_them() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let clients: Vec<Acme> = replicas::clients_of_each(&cluster, 25)
        .await?
        .into_iter()
        .flatten()
        .collect();
    let account = clients[0].new_account().await?;
    let name = [fresh_name("finalize")];
    let (url, order) = clients[0]
        .ready_order(&account, &name, cluster.answers())
        .await?;
    // Each CSR goes to both replicas.
    let csrs = (0..25)
        .map(|_| Csr::new(&name))
        .collect::<Result<Vec<_>>>()?;
    let twice: Vec<&Csr> = csrs.iter().chain(&csrs).collect();
    let answers = finalize_at_once(&clients, &account, &order, &twice).await?;

    let mut taken = Vec::new();
    for (answer, csr) in answers.iter().zip(&twice) {
        if answer.status == 200 {
            taken.push(csr.key.subject_public_key_info());
        } else {
            answer.expect_problem(403, OrderNotReady)?;
        }
    }
    ensure!(
        taken.len() == 2 && taken[0] == taken[1],
        "{} were taken",
        taken.len()
    );

    let decided = clients[0].decided(&account, &url).await?;
    let certificate_url = decided.certificate.context("no certificate")?;
    let pem = clients[0]
        .read(&account, &certificate_url)
        .await?
        .expect(200)?
        .text();
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes())?;
    ensure!(
        pem.parse_x509()?.public_key().raw == taken[0],
        "the certificate is for another key"
    );
    let stored = doc! { "order": id_of(&url)? };
    ensure!(
        cluster
            .database()
            .await?
            .count("certificates", stored)
            .await?
            == 1,
        "several certificates"
    );
    Ok(())
}

#[tokio::test]
async fn a_nonce_spent_on_both_replicas_at_once_is_taken_by_exactly_one_1000_times_over()
-> Result<()> {
    const TIMES: usize = 1_000;
    const AT_ONCE: usize = 16;
    let cluster = Cluster::shared().await?;
    let each = replicas::clients_of_each(&cluster, 1).await?;
    let (one, other) = (&each[0][0], &each[1][0]);
    let account = one.new_account().await?;
    let account = &account;
    let taken_by_one: usize = stream::iter(0..TIMES)
        .map(|round| async move {
            // By turns, so that neither replica spends only what it has minted itself.
            let minted = if round % 2 == 0 { one } else { other }.nonce().await?;
            let body =
                account
                    .key
                    .sign_request(&account.kid(), Some(&minted), &account.url, b"")?;
            let (first, second) = tokio::try_join!(
                one.send(&account.url, body.clone()),
                other.send(&account.url, body)
            )?;
            let (taken, refused, by_one) = if first.status == 200 {
                (first, second, 1)
            } else {
                (second, first, 0)
            };
            taken.expect(200)?;
            refused.expect_problem(400, BadNonce)?;
            anyhow::Ok(by_one)
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, async |sum, by_one| Ok(sum + by_one))
        .await?;
    // Were it always the same one, they would hardly have raced.
    ensure!(
        (1..TIMES).contains(&taken_by_one),
        "{taken_by_one} of {TIMES} by the first replica"
    );
    Ok(())
}

/// The nonce is spent with the act: the request that is refused has ordered nothing.
#[tokio::test]
async fn one_new_order_sent_to_both_replicas_at_once_makes_one_order_200_times_over() -> Result<()>
{
    const TIMES: usize = 200;
    let cluster = Cluster::shared().await?;
    let each = replicas::clients_of_each(&cluster, 1).await?;
    let (one, other) = (&each[0][0], &each[1][0]);
    let account = &one.new_account().await?;
    let url = &one.directory().new_order;
    stream::iter(0..TIMES)
        .map(|_| async move {
            let order = format!(
                r#"{{"identifiers":[{{"type":"dns","value":"{}"}}]}}"#,
                fresh_name("twice")
            );
            let nonce = one.nonce().await?;
            let (kid, order) = (account.kid(), order.as_bytes());
            let body = account.key.sign_request(&kid, Some(&nonce), url, order)?;
            let (first, second) =
                tokio::try_join!(one.send(url, body.clone()), other.send(url, body))?;
            let (made, refused) = if first.status == 201 {
                (first, second)
            } else {
                (second, first)
            };
            made.expect(201)?;
            refused.expect_problem(400, BadNonce)?;
            anyhow::Ok(())
        })
        .buffer_unordered(16)
        .try_collect::<Vec<()>>()
        .await?;
    let database = cluster.database().await?;
    let of_account = doc! { "account": id_of(&account.url)? };
    for collection in ["orders", "authorizations"] {
        let stored = database.count(collection, of_account.clone()).await?;
        ensure!(stored == TIMES as u64, "{stored} {collection}");
    }
    Ok(())
}

/// What the handler refuses has used its nonce all the same.
#[tokio::test]
async fn a_refused_request_cannot_be_sent_again() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let each = replicas::clients_of_each(&cluster, 1).await?;
    let (one, other) = (&each[0][0], &each[1][0]);
    let account = one.new_account().await?;
    let url = &one.directory().new_order;
    let nonce = one.nonce().await?;
    let body = account
        .key
        .sign_request(&account.kid(), Some(&nonce), url, b"{}")?;
    one.send(url, body.clone()).await?.expect(400)?;
    for again in [other, one] {
        again
            .send(url, body.clone())
            .await?
            .expect_problem(400, BadNonce)?;
    }
    Ok(())
}

#[tokio::test]
async fn of_two_revocations_at_once_one_succeeds() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let each = replicas::clients_of_each(&cluster, 1).await?;
    let (one, other) = (&each[0][0], &each[1][0]);
    let account = one.new_account().await?;
    for _ in 0..5 {
        let issued = one
            .issue(&account, &[fresh_name("revoked")], cluster.answers())
            .await?;
        let (first, second) = tokio::try_join!(
            one.revoke(&account, &issued.certificate, None),
            other.revoke(&account, &issued.certificate, None)
        )?;
        let (done, refused) = if first.status == 200 {
            (first, second)
        } else {
            (second, first)
        };
        done.expect(200)?;
        refused.expect_problem(400, ProblemKind::AlreadyRevoked)?;
    }
    Ok(())
}
