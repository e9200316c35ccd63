//! ARI (RFC 9773): when to renew, as the authority sees it.

use anyhow::{Context as _, Result, ensure};
use certfleet_acme::CertId;
use certfleet_acme::messages::RenewalInfo;
use certfleet_domain::ProblemKind::Malformed;
use certfleet_domain::{Clock as _, SystemClock, Timestamp};
use certfleet_system_tests::acme::{Acme, Answer, Csr, Issued, Proof, identifiers};
use certfleet_system_tests::{Cluster, fresh_name};
use serde_json::json;
use time::Duration;
use tokio::time::{Instant, sleep};

use crate::support::succeeded;

/// All replicas have heard of what was changed at an authority by then.
const KNOWN_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// From when to when a certificate is valid.
fn validity(certificate: &[u8]) -> Result<(Timestamp, Timestamp)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)?;
    let validity = parsed.validity();
    Ok((
        validity.not_before.to_datetime(),
        validity.not_after.to_datetime(),
    ))
}

async fn ask(acme: &Acme, cert_id: &str) -> Result<Answer> {
    let url = acme.directory().renewal_info.as_ref();
    let url = format!("{}/{cert_id}", url.context("no renewalInfo")?);
    Answer::read(acme.http().get(url).send().await?).await
}

async fn window(acme: &Acme, issued: &Issued) -> Result<(Timestamp, Timestamp, Option<String>)> {
    let id = issued.cert_id()?.to_string();
    let answer = ask(acme, &id).await?.expect(200)?;
    ensure!(
        answer.headers["retry-after"] == "21600",
        "{:?}",
        answer.headers
    );
    let info: RenewalInfo = answer.json()?;
    let window = info.window().context("no window")?;
    Ok((window.start(), window.end(), info.explanation_url))
}

#[tokio::test]
async fn a_window_goes_by_the_lifetime_and_is_now_for_what_is_revoked() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    for (profile, kept) in [("classic", 3), ("shortlived", 2)] {
        let name = fresh_name("ari");
        let wish = json!({ "identifiers": identifiers(&[&name]), "profile": profile });
        let (url, order) = acme.order(&account, &wish).await?;
        acme.prove_all(&account, &order, Proof::Http01, cluster.answers())
            .await?;
        let issued = acme
            .complete(&account, &url, &order, Csr::new(&[&name])?)
            .await?;
        let (from, to) = validity(&issued.certificate)?;
        let (start, end, _) = window(&acme, &issued).await?;
        let due = to - (to - from) / kept;
        ensure!(
            start < due && due < end,
            "{profile}: {start} to {end}, {due}"
        );
        ensure!(
            end - start < (to - from) / 10,
            "{profile}: {start} to {end}"
        );

        acme.revoke(&account, &issued.certificate, None)
            .await?
            .expect(200)?;
        let (_, end, _) = window(&acme, &issued).await?;
        ensure!(end <= SystemClock.now(), "{profile}: {end}");
    }
    Ok(())
}

#[tokio::test]
async fn what_names_no_certificate_is_told_so() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let name = fresh_name("ari");
    let issued = acme.issue(&account, &[&name], cluster.answers()).await?;
    let id = issued.cert_id()?;
    // The example of RFC 9773, which is another authority's.
    let foreign = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".to_owned();
    let others_key = CertId {
        key_identifier: vec![7; 20],
        ..id.clone()
    };
    let others_serial = CertId {
        serial: [&[1][..], &[9; 16]].concat(),
        ..id.clone()
    };
    for unknown in [foreign, others_key.to_string(), others_serial.to_string()] {
        ask(&acme, &unknown).await?.expect_problem(404, Malformed)?;
    }
    let whole = id.to_string();
    for wrong in [
        "x",
        "a.b.c",
        ".",
        "%ff",
        &whole.replace('.', ""),
        &format!("{whole}="),
    ] {
        let answer = ask(&acme, wrong).await?;
        ensure!(
            matches!(answer.status.as_u16(), 400 | 404),
            "{wrong}: {} {}",
            answer.status,
            answer.text()
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_administrator_asks_for_all_to_be_replaced() -> Result<()> {
    let cluster = Cluster::shared().await?;
    succeeded(&cluster.certfleet(&["ca", "create", "replaced"])?)?;
    let directory = format!("{}/acme/replaced/directory", cluster.api());
    let acme = Acme::connect(cluster.http()?, &directory).await?;
    let account = acme.new_account().await?;
    let issue = async || {
        let name = fresh_name("ari");
        acme.issue(&account, &[&name], cluster.answers()).await
    };
    let before = issue().await?;
    let (usual, _, _) = window(&acme, &before).await?;
    let why = "https://ca.example/incident";
    let within = ["--within", "24h", "--explanation-url", why];
    succeeded(&cluster.certfleet(&[&["ca", "replace", "replaced"], &within[..]].concat())?)?;
    let asked_at = SystemClock.now();
    let after = issue().await?;

    let until = Instant::now() + KNOWN_WITHIN;
    let (start, end, explanation) = loop {
        let told = window(&acme, &before).await?;
        if told.0 < usual {
            break told;
        }
        ensure!(Instant::now() < until, "no replica hears of it: {told:?}");
        sleep(std::time::Duration::from_millis(200)).await;
    };
    ensure!(start <= asked_at && end > asked_at + Duration::hours(23));
    ensure!(explanation.as_deref() == Some(why), "{explanation:?}");
    // What came since is not meant.
    let (start, _, explanation) = window(&acme, &after).await?;
    ensure!(start > asked_at + Duration::days(30) && explanation.is_none());
    Ok(())
}
