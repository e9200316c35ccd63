//! What an order may ask for, and what it may not (RFC 8555 §7.1.3, §7.4, RFC 8738).

use anyhow::{Context as _, Result, ensure};
use certfleet_acme::messages::{AuthorizationResponse, OrderResponse};
use certfleet_domain::ProblemKind::{
    self, InvalidProfile, Malformed, OrderNotReady, UnsupportedIdentifier,
};
use certfleet_domain::{Clock, SystemClock, Timestamp};
use certfleet_system_tests::acme::{Account, Acme, Csr, Proof, identifiers};
use certfleet_system_tests::{Cluster, fresh_name};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// The names in a certificate, sorted.
fn names_in(certificate: &X509Certificate<'_>) -> Result<Vec<String>> {
    let names = certificate
        .subject_alternative_name()?
        .context("no names")?;
    let mut texts: Vec<String> = Vec::new();
    for name in &names.value.general_names {
        texts.push(match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(octets) if octets.len() == 4 => {
                format!("{}.{}.{}.{}", octets[0], octets[1], octets[2], octets[3])
            }
            other => anyhow::bail!("{other:?}"),
        });
    }
    texts.sort_unstable();
    Ok(texts)
}

/// Begin and end of validity.
fn validity(certificate: &X509Certificate<'_>) -> (OffsetDateTime, OffsetDateTime) {
    let validity = certificate.validity();
    (
        validity.not_before.to_datetime(),
        validity.not_after.to_datetime(),
    )
}

async fn kinds(
    acme: &Acme,
    account: &Account,
    url: &str,
) -> Result<(AuthorizationResponse, Vec<String>)> {
    let authorization: AuthorizationResponse =
        acme.read(account, url).await?.expect(200)?.json()?;
    let mut kinds: Vec<String> = authorization
        .challenges
        .iter()
        .map(|challenge| challenge.kind.clone())
        .collect();
    kinds.sort_unstable();
    Ok((authorization, kinds))
}

#[tokio::test]
async fn a_wildcard_is_proven_by_dns_and_beside_its_base_by_itself() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let base = fresh_name("wildcard");
    let names = [format!("*.{base}"), base.clone()];
    let (url, order) = acme.order_for(&account, &names).await?;
    ensure!(
        order.authorizations.len() == 2,
        "{:?}",
        order.authorizations
    );
    for url in &order.authorizations {
        let (authorization, kinds) = kinds(&acme, &account, url).await?;
        ensure!(
            authorization.identifier.value == base,
            "{:?}",
            authorization.identifier
        );
        let due: &[&str] = match authorization.wildcard {
            Some(true) => &["dns-01"],
            _ => &["dns-01", "http-01", "tls-alpn-01"],
        };
        ensure!(kinds == due, "{kinds:?}");
    }
    acme.prove_all(&account, &order, Proof::Dns01, cluster.answers())
        .await?;
    let issued = acme
        .complete(&account, &url, &order, Csr::new(&names)?)
        .await?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&issued.certificate)?;
    ensure!(
        names_in(&certificate)? == names,
        "{:?}",
        names_in(&certificate)?
    );
    Ok(())
}

#[tokio::test]
async fn an_address_is_proven_over_http_and_over_tls() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    for proof in [Proof::Http01, Proof::TlsAlpn01] {
        let account = acme.new_account().await?;
        let (url, order) = acme.order_for(&account, &["127.0.0.1"]).await?;
        let (_, kinds) = kinds(&acme, &account, &order.authorizations[0]).await?;
        ensure!(kinds == ["http-01", "tls-alpn-01"], "{kinds:?}");
        acme.prove_all(&account, &order, proof, cluster.answers())
            .await?;
        let issued = acme
            .complete(&account, &url, &order, Csr::new(&["127.0.0.1"])?)
            .await?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&issued.certificate)?;
        ensure!(
            names_in(&certificate)? == ["127.0.0.1"],
            "{:?}",
            names_in(&certificate)?
        );
    }
    Ok(())
}

#[tokio::test]
async fn several_names_are_proven_each_in_its_way_and_stand_once_in_one_certificate() -> Result<()>
{
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let mut names: Vec<String> = (0..6).map(|_| fresh_name("several")).collect();
    let mut asked = names.clone();
    // Case and repetition do not count.
    asked.push(names[0].to_uppercase());
    asked.push(names[1].clone());
    let (url, order) = acme.order_for(&account, &asked).await?;
    ensure!(
        order.identifiers.len() == 6 && order.authorizations.len() == 6,
        "{order:?}"
    );
    let proofs = [Proof::Http01, Proof::Dns01, Proof::TlsAlpn01];
    for (url, proof) in order.authorizations.iter().zip(proofs.iter().cycle()) {
        acme.prove(&account, url, *proof, cluster.answers()).await?;
    }
    let issued = acme
        .complete(&account, &url, &order, Csr::new(&names)?)
        .await?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&issued.certificate)?;
    names.sort_unstable();
    ensure!(
        names_in(&certificate)? == names,
        "{:?}",
        names_in(&certificate)?
    );
    Ok(())
}

#[tokio::test]
async fn a_hundred_names_are_taken_and_one_more_is_not() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let mut names: Vec<String> = (0..100).map(|_| fresh_name("hundred")).collect();
    let (_, order) = acme.order_for(&account, &names).await?;
    ensure!(
        order.authorizations.len() == 100,
        "{}",
        order.authorizations.len()
    );
    names.push(fresh_name("hundred"));
    refused(
        &acme,
        &account,
        &json!({ "identifiers": identifiers(&names) }),
        Malformed,
        "100",
    )
    .await
}

async fn refused(
    acme: &Acme,
    account: &Account,
    wish: &Value,
    kind: ProblemKind,
    says: &str,
) -> Result<()> {
    let url = acme.directory().new_order.clone();
    let problem = acme
        .post(account, &url, wish)
        .await?
        .expect_problem(400, kind)
        .with_context(|| wish.to_string())?;
    ensure!(problem.detail.contains(says), "{wish}: {}", problem.detail);
    Ok(())
}

#[tokio::test]
async fn names_that_cannot_be_certified_are_refused_each_by_itself() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let dns = |name: &str| json!({ "identifiers": [{ "type": "dns", "value": name }] });
    for (name, says) in [
        ("", "empty"),
        ("a..test", "empty label"),
        ("a.test.", "dot"),
        ("-a.test", "hyphen"),
        ("a_b.test", "letters, digits and hyphens"),
        ("a b.test", "letters, digits and hyphens"),
        ("bücher.test", "xn--"),
        ("xn--0.test", "A-label"),
        ("127.0.0.1", "\"ip\""),
        ("a.1", "digits"),
        ("*", "wildcard"),
        ("*.test", "wildcard"),
        ("a.*.test", "wildcard"),
        ("*.*.a.test", "wildcard"),
        ("https://a.test", "letters, digits and hyphens"),
    ] {
        refused(&acme, &account, &dns(name), Malformed, says).await?;
    }
    let long = format!("{}.test", "a".repeat(64));
    refused(&acme, &account, &dns(&long), Malformed, "63").await?;
    for (wish, kind, says) in [
        (json!({ "identifiers": [] }), Malformed, "at least one"),
        (json!({}), Malformed, "identifiers"),
        (json!({ "identifiers": "a.test" }), Malformed, "identifiers"),
        (
            json!({ "identifiers": [{ "type": "email", "value": "a@b.test" }] }),
            UnsupportedIdentifier,
            "email",
        ),
        (
            json!({ "identifiers": [{ "type": "ip", "value": "127.0.0.256" }] }),
            Malformed,
            "127.0.0.256",
        ),
        (
            json!({ "identifiers": [{ "type": "ip", "value": "a.test" }] }),
            Malformed,
            "a.test",
        ),
    ] {
        refused(&acme, &account, &wish, kind, says).await?;
    }
    // Several at once: each is named (§6.7.1).
    let several = json!({ "identifiers": identifiers(&["good.test", "bad_.test", "worse..test"]) });
    let url = acme.directory().new_order.clone();
    let problem = acme
        .post(&account, &url, &several)
        .await?
        .expect_problem(400, Malformed)?;
    ensure!(problem.subproblems.len() == 2, "{problem:?}");
    Ok(())
}

fn text(at: Timestamp) -> Result<String> {
    Ok(at.format(&Rfc3339)?)
}

#[tokio::test]
async fn the_validity_that_is_asked_for_is_issued_exactly() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let now = SystemClock.now().replace_nanosecond(0)?;
    let (begin, end) = (now + Duration::hours(30), now + Duration::days(12));
    let earlier = now - Duration::minutes(50);
    for (not_before, not_after) in [
        (Some(begin), Some(end)),
        (None, Some(end.to_offset(UtcOffset::from_hms(-7, 30, 0)?))),
        (Some(earlier), None),
    ] {
        let names = [fresh_name("validity")];
        let mut wish = json!({ "identifiers": identifiers(&names) });
        for (member, moment) in [("notBefore", not_before), ("notAfter", not_after)] {
            if let Some(moment) = moment {
                wish[member] = text(moment)?.into();
            }
        }
        let (url, order) = acme.order(&account, &wish).await?;
        ensure!(
            (order.not_before, order.not_after) == (not_before, not_after),
            "{order:?}"
        );
        acme.prove_all(&account, &order, Proof::Http01, cluster.answers())
            .await?;
        let issued = acme
            .complete(&account, &url, &order, Csr::new(&names)?)
            .await?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&issued.certificate)?;
        let (begins, ends) = validity(&certificate);
        ensure!(
            not_before.is_none_or(|due| begins == due),
            "begins {begins}, {not_before:?} is due"
        );
        ensure!(
            not_after.is_none_or(|due| ends == due),
            "ends {ends}, {not_after:?} is due"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_order_ends_with_the_validity_that_it_asks_for() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let names = [fresh_name("soon")];
    // Proven beforehand, so that nothing but the finalization is left.
    acme.ready_order(&account, &names, cluster.answers())
        .await?;
    let end = SystemClock.now().replace_nanosecond(0)? + Duration::seconds(3);
    let wish = json!({ "identifiers": identifiers(&names), "notAfter": text(end)? });
    let (url, order) = acme.order(&account, &wish).await?;
    ensure!(order.expires == Some(end), "{order:?}");
    tokio::time::sleep(std::time::Duration::from_millis(3_500)).await;
    let csr = Csr::new(&names)?;
    acme.finalize(&account, &order, &csr.der)
        .await?
        .expect_problem(403, OrderNotReady)?;
    let ended: Value = acme.read(&account, &url).await?.expect(200)?.json()?;
    ensure!(ended["status"] == "invalid", "{ended}");
    Ok(())
}

#[tokio::test]
async fn a_validity_that_cannot_be_issued_is_refused() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    let now = SystemClock.now().replace_nanosecond(0)?;
    let at = |offset: Duration| text(now + offset);
    let hour = Duration::hours(1);
    for (not_before, not_after, says) in [
        (Some(-hour * 24), None, "notBefore"),
        (Some(Duration::days(400)), None, "notBefore"),
        (None, Some(-hour), "notAfter"),
        (None, Some(Duration::days(91)), "90 days"),
        (Some(Duration::days(5)), Some(Duration::days(96)), "90 days"),
        (Some(Duration::days(5)), Some(Duration::days(4)), "notAfter"),
        (Some(Duration::days(5)), Some(Duration::days(5)), "notAfter"),
    ] {
        let mut wish = json!({ "identifiers": identifiers(&[fresh_name("validity")]) });
        if let Some(offset) = not_before {
            wish["notBefore"] = at(offset)?.into();
        }
        if let Some(offset) = not_after {
            wish["notAfter"] = at(offset)?.into();
        }
        refused(&acme, &account, &wish, Malformed, says).await?;
    }
    // Certificates could not say so.
    let fraction = (now + Duration::days(5)).replace_millisecond(750)?;
    for member in ["notBefore", "notAfter"] {
        let mut wish = json!({ "identifiers": identifiers(&["a.test"]) });
        wish[member] = text(fraction)?.into();
        refused(&acme, &account, &wish, Malformed, "whole seconds").await?;
    }
    for nonsense in [
        json!("tomorrow"),
        json!(1_800_000_000),
        json!("2026-13-01T00:00:00Z"),
        json!("2027-01-01"),
    ] {
        let wish = json!({ "identifiers": identifiers(&["a.test"]), "notAfter": nonsense });
        refused(&acme, &account, &wish, Malformed, "notAfter").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_profile_decides_the_lifetime() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let acme = cluster.acme().await?;
    let account = acme.new_account().await?;
    for (profile, lifetime) in [
        (None, Duration::days(90)),
        (Some("classic"), Duration::days(90)),
        (Some("shortlived"), Duration::hours(160)),
    ] {
        let names = [fresh_name("profile")];
        let mut wish = json!({ "identifiers": identifiers(&names) });
        if let Some(profile) = profile {
            wish["profile"] = profile.into();
        }
        let (url, order): (String, OrderResponse) = acme.order(&account, &wish).await?;
        ensure!(
            order.profile.as_deref() == Some(profile.unwrap_or("classic")),
            "{:?}",
            order.profile
        );
        acme.prove_all(&account, &order, Proof::Http01, cluster.answers())
            .await?;
        let issued = acme
            .complete(&account, &url, &order, Csr::new(&names)?)
            .await?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&issued.certificate)?;
        let (begins, ends) = validity(&certificate);
        // The last second counts (RFC 5280 §4.1.2.5).
        ensure!(
            ends - begins + Duration::SECOND == lifetime,
            "{profile:?}: {begins} to {ends}"
        );
    }
    for profile in ["longlived", "", "Not A Profile"] {
        let wish = json!({ "identifiers": identifiers(&["a.test"]), "profile": profile });
        refused(
            &acme,
            &account,
            &wish,
            InvalidProfile,
            "classic, shortlived",
        )
        .await?;
    }
    Ok(())
}
