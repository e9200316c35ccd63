//! What relying parties are told of revoked certificates: CRLs and OCSP answers, as openssl and pkilint take them (CA-4).

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::doc;
use certfleet_system_tests::acme::{Account, Acme, Issued};
use certfleet_system_tests::{Cluster, RelyingParty, fresh_name};
use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use x509_parser::parse_x509_crl;

use crate::clients::linter;
use crate::support::{openssl, refused, succeeded};

/// What the requirement says.
const LISTED_WITHIN: Duration = Duration::from_secs(60);
const REQUEST: &str = "application/ocsp-request";
const UNAUTHORIZED: &[u8] = &[0x30, 3, 0x0a, 1, 6];
const MALFORMED: &[u8] = &[0x30, 3, 0x0a, 1, 1];

async fn issue(cluster: &Cluster) -> Result<(Acme, Account, Issued)> {
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let issued = acme
        .issue(&account, &[&fresh_name("revoked")], cluster.answers())
        .await?;
    Ok((acme, account, issued))
}

#[tokio::test]
async fn openssl_and_the_linter_are_told_of_a_revocation_within_a_minute() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let (acme, account, issued) = issue(&cluster).await?;
    let party = RelyingParty::new(cluster.root(), &issued)?;
    let good = party.ask_ocsp(&[])?;
    ensure!(good.contains("leaf.pem: good"), "{good}");
    let good = party.ask_ocsp(&["-sha256"])?;
    ensure!(good.contains("leaf.pem: good"), "{good}");
    party.fetch_crl().await?;
    party.passes_crl()?;

    acme.revoke(&account, &issued.certificate, Some(1))
        .await?
        .expect(200)?;
    // At once: what was signed before is not true any more.
    let told = party.ask_ocsp(&[])?;
    ensure!(told.contains("leaf.pem: revoked"), "{told}");
    ensure!(told.contains("Reason: keyCompromise"), "{told}");
    linter::lint_ocsp_response(&party.file("answer"));

    is_listed(&party, &issued).await?;
    let refusal = party.passes_crl().unwrap_err().to_string();
    ensure!(refusal.contains("certificate revoked"), "{refusal}");
    linter::lint_crl(&party.file("crl"));
    Ok(())
}

#[tokio::test]
async fn a_relying_party_is_answered_by_rfc_5019_and_never_with_a_guess() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let (_, _, issued) = issue(&cluster).await?;
    let party = RelyingParty::new(cluster.root(), &issued)?;

    // By GET, escaped as clients do and not at all; with a tag that saves the octets.
    let leaf = party.path("leaf.pem");
    let request = party.request(&["-cert", &leaf])?;
    let plain = STANDARD.encode(&request);
    let escaped = plain
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    let mut tag = None;
    for path in [&escaped, &plain] {
        let url = format!("{}/{path}", party.ocsp);
        let response = party.http.get(&url).send().await?.error_for_status()?;
        ensure!(response.headers()[CONTENT_TYPE] == "application/ocsp-response");
        let control = response.headers()[CACHE_CONTROL].to_str()?.to_owned();
        ensure!(
            control.contains("max-age=60") && control.contains("public"),
            "{control}"
        );
        tag = response.headers().get(ETAG).cloned();
        ensure!(response.bytes().await?.len() > 300, "no answer");
    }
    let again = party.http.get(format!("{}/{escaped}", party.ocsp));
    let again = again
        .header(IF_NONE_MATCH, tag.context("no tag")?)
        .send()
        .await?;
    ensure!(again.status() == 304, "{}", again.status());

    // Of serial numbers that are none of ours, and of other issuers, we know nothing.
    let root = cluster.root().display().to_string();
    for options in [
        vec!["-serial", "0x0102"],
        vec!["-serial", "0x01000000000000000000000000000000ff"],
    ] {
        let answer = party.post_ocsp(party.request(&options)?, REQUEST).await?;
        ensure!(answer.headers()[CACHE_CONTROL] == "no-store");
        ensure!(answer.bytes().await? == UNAUTHORIZED, "{options:?}");
    }
    openssl(&[
        "ocsp",
        "-issuer",
        &root,
        "-cert",
        &leaf,
        "-no_nonce",
        "-reqout",
        &party.path("other"),
    ])?;
    let answer = party
        .post_ocsp(fs::read(party.file("other"))?, REQUEST)
        .await?;
    ensure!(answer.bytes().await? == UNAUTHORIZED, "another issuer");

    let two = party.request(&["-cert", &leaf, "-serial", "0x0102"])?;
    for body in [
        Vec::new(),
        b"x".to_vec(),
        request[1..].to_vec(),
        two,
        vec![0x30; 5000],
    ] {
        let answer = party.post_ocsp(body, REQUEST).await?;
        ensure!(answer.status() == 200);
        ensure!(answer.bytes().await? == MALFORMED);
    }
    for path in ["AAAA", "not base64", "%FF%FE"] {
        let answer = party
            .http
            .get(format!("{}/{path}", party.ocsp))
            .send()
            .await?;
        let status = answer.status();
        let refused = status == 404 || status == 400 || answer.bytes().await? == MALFORMED;
        ensure!(refused, "{path}: {status}");
    }
    let answer = party.post_ocsp(request, "text/plain").await?;
    ensure!(answer.status() == 415, "{}", answer.status());

    // No CRL or issuer but those that there are, by the one name that each has.
    let (base, _) = party.crl.rsplit_once('/').context("no path")?;
    let foreign = format!(
        "{}/00000000000000000000000000000000/1.crl",
        base.rsplit_once('/').context("no path")?.0
    );
    for url in [
        format!("{base}/128.crl"),
        format!("{base}/01.crl"),
        format!("{base}/1"),
        foreign,
        party.ocsp.replace("/ocsp", "/issuer/x.cer"),
    ] {
        let answer = party.http.get(&url).send().await?;
        ensure!(answer.status() == 404, "{url}: {}", answer.status());
    }
    // Nothing else is had in clear.
    let directory = party.ocsp.replace("/ocsp", "/directory");
    ensure!(party.http.get(&directory).send().await?.status() == 404);
    Ok(())
}

#[tokio::test]
async fn an_operator_revokes_many_after_a_look_and_has_the_lists_signed_anew() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let domain = fresh_name("bulk");
    let mut all = Vec::new();
    for number in 0..3 {
        let names = [format!("{number}.{domain}")];
        all.push(acme.issue(&account, &names, cluster.answers()).await?);
    }
    let json = |arguments: &[&str]| -> Result<Value> {
        Ok(serde_json::from_str(&succeeded(
            &cluster.certfleet(arguments)?,
        )?)?)
    };
    let select = [
        "cert",
        "revoke",
        "--name",
        &domain,
        "--reason",
        "superseded",
    ];
    let with = |more: &[&'static str]| [&select[..], more].concat();

    let why = refused(&cluster.certfleet(&select)?)?;
    ensure!(why.contains("--dry-run"), "{why}");
    let why = refused(&cluster.certfleet(&["cert", "revoke", "--yes"])?)?;
    ensure!(why.contains("which certificates"), "{why}");
    let look = json(&with(&["--dry-run", "--json"]))?;
    ensure!(look["matched"] == 3 && look["revoked"] == 0, "{look}");
    ensure!(
        look["examples"]
            .as_array()
            .is_some_and(|all| all.len() == 3),
        "{look}"
    );
    let party = RelyingParty::new(cluster.root(), &all[0])?;
    ensure!(
        party.ask_ocsp(&[])?.contains("good"),
        "a dry run has revoked it"
    );

    let done = json(&with(&["--yes", "--json"]))?;
    ensure!(done["matched"] == 3 && done["revoked"] == 3, "{done}");
    let again = json(&with(&["--yes", "--json"]))?;
    ensure!(again["matched"] == 0 && again["revoked"] == 0, "{again}");
    let told = party.ask_ocsp(&[])?;
    ensure!(
        told.contains("revoked") && told.contains("superseded"),
        "{told}"
    );
    let (_, certificate) = x509_parser::parse_x509_certificate(&all[0].certificate)?;
    let serial = certificate.raw_serial_as_string();
    let why = refused(&cluster.certfleet(&["cert", "revoke", &serial, "--yes"])?)?;
    ensure!(why.contains("already"), "{why}");

    let number = async || -> Result<u64> {
        let der = party.fetch_crl().await?;
        let (_, list) = parse_x509_crl(&der)?;
        let number = list.crl_number().context("no number")?.to_string();
        Ok(number.parse()?)
    };
    let before = number().await?;
    // Other tests make authorities as well.
    let rebuilt = json(&["crl", "rebuild", "--authority", "default", "--json"])?;
    ensure!(rebuilt["crls"] == 128, "{rebuilt}");
    ensure!(number().await? > before, "the list is the same");
    ensure!(party.passes_crl().is_err(), "the list does not name it");
    let missing = cluster.certfleet(&["crl", "rebuild", "--authority", "nobody"])?;
    ensure!(missing.status.code() == Some(3), "{missing:?}");

    // An act is in the log when it has its number.
    let until = Instant::now() + LISTED_WITHIN;
    loop {
        let log = succeeded(&cluster.certfleet(&["audit", "export"])?)?;
        let acts = ["ocsp.create-responder", "crl.rebuild"];
        let missing = acts.iter().find(|act| !log.contains(**act));
        let Some(act) = missing else {
            break;
        };
        ensure!(Instant::now() < until, "{act} is not on record");
        sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_record_that_does_not_parse_holds_up_its_own_list_and_no_other() -> Result<()> {
    let cluster = Cluster::alone().await?;
    let (acme, account, bad) = issue(&cluster).await?;
    let bad_party = RelyingParty::new(cluster.root(), &bad)?;
    let (good, good_party) = loop {
        let name = [fresh_name("revoked")];
        let good = acme.issue(&account, &name, cluster.answers()).await?;
        let party = RelyingParty::new(cluster.root(), &good)?;
        if party.crl != bad_party.crl {
            break (good, party);
        }
    };
    for issued in [&bad, &good] {
        acme.revoke(&account, &issued.certificate, Some(4))
            .await?
            .expect(200)?;
    }
    let (_, certificate) = x509_parser::parse_x509_certificate(&bad.certificate)?;
    let this = doc! { "serial": hex::encode(certificate.raw_serial()) };
    let database = cluster.database().await?;
    let reason = |reason: &str| doc! { "$set": { "state.reason": reason, "unlisted": true } };
    database
        .change("certificates", this.clone(), reason("boredom"))
        .await?;
    is_listed(&good_party, &good).await?;
    database
        .change("certificates", this, reason("superseded"))
        .await?;
    is_listed(&bad_party, &bad).await
}

async fn is_listed(party: &RelyingParty, issued: &Issued) -> Result<()> {
    let (_, certificate) = x509_parser::parse_x509_certificate(&issued.certificate)?;
    let until = Instant::now() + LISTED_WITHIN;
    loop {
        let der = party.fetch_crl().await?;
        let (_, list) = parse_x509_crl(&der)?;
        let mut listed = list.iter_revoked_certificates();
        if listed.any(|one| one.raw_serial() == certificate.raw_serial()) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "it is not listed");
        sleep(Duration::from_millis(250)).await;
    }
}
