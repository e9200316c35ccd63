//! Revocation (RFC 8555 §7.6): by whom, for what reasons, and once.

use anyhow::{Result, ensure};
use bson::doc;
use certfleet_acme::{Algorithm, SigningKey};
use certfleet_domain::ProblemKind::{AlreadyRevoked, BadRevocationReason, Malformed, Unauthorized};
use certfleet_system_tests::acme::{Acme, Answer, Issued};
use certfleet_system_tests::{Cluster, fresh_name};
use serde_json::json;

use super::id_of;

/// Revokes with the certificate's own key, or another.
async fn revoke_by_key(acme: &Acme, key: &SigningKey, issued: &Issued) -> Result<Answer> {
    let url = acme.directory().revoke_cert.clone();
    acme.post_by_key(key, &url, &Acme::revocation(&issued.certificate, None)?)
        .await
}

#[tokio::test]
async fn the_account_that_ordered_may_revoke_for_the_reasons_that_clients_may_give() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let name = [fresh_name("revoke")];
    for (code, stored) in [
        (None, "unspecified"),
        (Some(0), "unspecified"),
        (Some(1), "keyCompromise"),
        (Some(3), "affiliationChanged"),
        (Some(4), "superseded"),
        (Some(5), "cessationOfOperation"),
    ] {
        let issued = acme.issue(&account, &name, cluster.answers()).await?;
        for bad in [2, 6, 7, 8, 9, 10, 11, -1, i64::MAX] {
            let answer = acme
                .revoke(&account, &issued.certificate, Some(bad))
                .await?;
            answer.expect_problem(400, BadRevocationReason)?;
        }
        acme.revoke(&account, &issued.certificate, code)
            .await?
            .expect(200)?;
        for again in [code, Some(1)] {
            let answer = acme.revoke(&account, &issued.certificate, again).await?;
            answer.expect_problem(400, AlreadyRevoked)?;
        }
        let filter = doc! {
            "_id": id_of(&issued.url)?, "state.status": "revoked", "state.reason": stored,
        };
        ensure!(
            cluster
                .database()
                .await?
                .count("certificates", filter)
                .await?
                == 1,
            "{code:?}"
        );
        // It can still be downloaded.
        acme.read(&account, &issued.url).await?.expect(200)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_certificates_own_key_may_revoke_and_no_other_key() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let issued = acme
        .issue(&account, &[fresh_name("revoke")], cluster.answers())
        .await?;
    let stranger = SigningKey::generate_p256()?;
    revoke_by_key(&acme, &stranger, &issued)
        .await?
        .expect_problem(403, Unauthorized)?;
    // An account's key counts through its account only.
    revoke_by_key(&acme, &account.key, &issued)
        .await?
        .expect_problem(403, Unauthorized)?;
    let own = SigningKey::from_pkcs8(Algorithm::Es256, issued.csr.key.serialized_der())?;
    revoke_by_key(&acme, &own, &issued).await?.expect(200)?;
    revoke_by_key(&acme, &own, &issued)
        .await?
        .expect_problem(400, AlreadyRevoked)?;
    Ok(())
}

#[tokio::test]
async fn an_account_that_has_proven_all_the_names_may_revoke() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let (owner, heir) = (acme.new_account().await?, acme.new_account().await?);
    let names = [fresh_name("revoke"), fresh_name("revoke")];
    let issued = acme.issue(&owner, &names, cluster.answers()).await?;
    acme.revoke(&heir, &issued.certificate, None)
        .await?
        .expect_problem(403, Unauthorized)?;
    acme.ready_order(&heir, &names[..1], cluster.answers())
        .await?;
    acme.revoke(&heir, &issued.certificate, None)
        .await?
        .expect_problem(403, Unauthorized)?;
    let (_, order) = acme.ready_order(&heir, &names, cluster.answers()).await?;
    // One that is given up does not count any more.
    let given_up = json!({ "status": "deactivated" });
    acme.post(&heir, &order.authorizations[0], &given_up)
        .await?
        .expect(200)?;
    acme.revoke(&heir, &issued.certificate, None)
        .await?
        .expect_problem(403, Unauthorized)?;
    acme.ready_order(&heir, &names, cluster.answers()).await?;
    acme.revoke(&heir, &issued.certificate, Some(4))
        .await?
        .expect(200)?;
    acme.revoke(&owner, &issued.certificate, None)
        .await?
        .expect_problem(400, AlreadyRevoked)?;
    Ok(())
}

#[tokio::test]
async fn what_this_authority_has_not_issued_cannot_be_revoked() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let issued = acme
        .issue(&account, &[fresh_name("revoke")], cluster.answers())
        .await?;
    let foreign = rcgen::generate_simple_self_signed([fresh_name("revoke")])?
        .cert
        .der()
        .to_vec();
    let mut altered = issued.certificate.clone();
    // Within the signature: the serial number is the same.
    let place = altered.len() - 5;
    altered[place] ^= 1;
    for certificate in [foreign, altered] {
        acme.revoke(&account, &certificate, None)
            .await?
            .expect_problem(404, Malformed)?;
    }
    acme.revoke(&account, b"no certificate", None)
        .await?
        .expect_problem(400, Malformed)?;
    let url = acme.directory().revoke_cert.clone();
    for payload in [
        json!({}),
        json!({ "certificate": issued.pem }),
        json!({ "certificate": 7 }),
    ] {
        acme.post(&account, &url, &payload)
            .await?
            .expect_problem(400, Malformed)?;
    }
    acme.revoke(&account, &issued.certificate, None)
        .await?
        .expect(200)?;
    Ok(())
}
