//! The proof that an authority issues: one certificate, got as any client gets one.
//!
//! From one's own, it is for 127.0.0.1 (RFC 8738), which needs no DNS.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use certfleet_domain::{Identifier, Timestamp};
use certfleet_pki::{
    certificates_from_pem, create_csr, serial_of_certificate, validity_of_certificate,
};
use certfleet_signer::{InternalKey, KeyAlgorithm};
use instant_acme::{
    Account, ChallengeType, ExternalAccountKey, Identifier as AcmeIdentifier, KeyAuthorization,
    NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use serde::Serialize;
use tokio::time::{Instant, timeout};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::answer::answer;
use super::ports::Answer;
use crate::failure::Failure;

/// What the certificate is for.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How long all of it may take. It takes a fraction of a second.
const WITHIN: Duration = Duration::from_secs(90);

/// How often the server is asked; what it says of `Retry-After` counts more.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(50))
    .timeout(Duration::from_secs(30));

/// An ACME server, as its client knows it.
pub struct Directory<'d> {
    /// Its URL.
    pub url: &'d str,
    /// The one root that is trusted for it, PEM; without it, what this system trusts.
    pub root: Option<&'d Path>,
    /// What binds the account to one that there is already (RFC 8555 §7.3.4).
    pub binding: Option<&'d ExternalAccountKey>,
}

/// The certificate that was got.
#[derive(Debug, Serialize)]
pub struct Issued {
    /// The names in it.
    pub names: Vec<String>,
    /// Its serial number, hex.
    pub serial: String,
    /// Who signed it.
    pub issuer: String,
    /// Start of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: Timestamp,
    /// End of validity.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: Timestamp,
    /// How control was proven.
    pub challenge: &'static str,
    /// From the first request to the downloaded chain.
    pub seconds: f64,
    /// The chain, PEM.
    #[serde(skip)]
    pub chain: String,
}

/// Gets a certificate from one's own cluster, for 127.0.0.1.
pub async fn demonstrate(
    directory: &str,
    root: &Path,
    on: &Answer,
) -> Result<(Issued, String), Failure> {
    let own = Directory {
        url: directory,
        root: Some(root),
        binding: None,
    };
    let issued = issue(&own, &Identifier::Ip(ADDRESS), on)
        .await
        .context("the cluster runs, but did not issue a certificate (the logs in the data directory may say why)")?;
    let detail = format!("issued for {ADDRESS} over {}", issued.challenge);
    Ok((issued, detail))
}

/// Gets a certificate for this name.
pub async fn issue(from: &Directory<'_>, name: &Identifier, on: &Answer) -> anyhow::Result<Issued> {
    let late = || anyhow!("no certificate within {} s", WITHIN.as_secs());
    timeout(WITHIN, order(from, name, on))
        .await
        .unwrap_or_else(|_| Err(late()))
}

async fn order(from: &Directory<'_>, name: &Identifier, on: &Answer) -> anyhow::Result<Issued> {
    let began = Instant::now();
    let account = NewAccount {
        contact: &[],
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let builder = match from.root {
        Some(root) => Account::builder_with_root(root),
        None => Account::builder(),
    };
    let (account, _) = builder?
        .create(&account, from.url.to_owned(), from.binding)
        .await
        .context("new account")?;
    let identifiers = [match name {
        Identifier::Ip(address) => AcmeIdentifier::Ip(*address),
        Identifier::Dns(_) | Identifier::Wildcard(_) => AcmeIdentifier::Dns(name.to_string()),
    }];
    let mut order = account
        .new_order(&NewOrder::new(&identifiers))
        .await
        .context("new order")?;
    prove(&mut order, on).await?;
    let key = InternalKey::generate(KeyAlgorithm::EcdsaP256)?;
    let csr = create_csr(std::slice::from_ref(name), &key)?;
    order.finalize_csr(&csr).await.context("finalize")?;
    let chain = order.poll_certificate(&POLL).await.context("download")?;
    describe(chain, name, on, began.elapsed())
}

/// Proves control of the one identifier in the order.
async fn prove(order: &mut Order, on: &Answer) -> anyhow::Result<()> {
    let kind = match on {
        Answer::Http01(_) => ChallengeType::Http01,
        Answer::TlsAlpn01(_) => ChallengeType::TlsAlpn01,
    };
    let (token, authorization) = {
        let mut authorizations = order.authorizations();
        let mut authorization = authorizations
            .next()
            .await
            .context("the order has no authorization")?
            .context("authorization")?;
        let mut challenge = authorization
            .challenge(kind)
            .context("the authorization lacks the challenge")?;
        let (token, proof) = (challenge.token.clone(), challenge.key_authorization());
        // The server may look before it answers.
        let asked = async { challenge.set_ready().await.context("challenge") };
        while_answering(on, &token, &proof, asked).await?;
        (token, proof)
    };
    let validated = async { order.poll_ready(&POLL).await.context("validation") };
    match while_answering(on, &token, &authorization, validated).await? {
        OrderStatus::Ready => Ok(()),
        _ => bail!("the validation failed: {}", why(order).await),
    }
}

/// Does the work, and answers the challenge meanwhile.
async fn while_answering<T>(
    on: &Answer,
    token: &str,
    authorization: &KeyAuthorization,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        failed = answer(on, token, authorization) => match failed? {},
        done = work => done,
    }
}

/// What the server says of a challenge that failed.
async fn why(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        for challenge in &authorization.challenges {
            if let Some(error) = &challenge.error {
                return error.to_string();
            }
        }
    }
    "no reason was given".to_owned()
}

fn describe(
    chain: String,
    name: &Identifier,
    on: &Answer,
    took: Duration,
) -> anyhow::Result<Issued> {
    let ders = certificates_from_pem(&chain)?;
    let leaf = ders.first().context("the chain is empty")?;
    let (_, certificate) = X509Certificate::from_der(leaf)?;
    let (not_before, not_after) = validity_of_certificate(leaf)?;
    Ok(Issued {
        names: vec![name.to_string()],
        serial: hex::encode(serial_of_certificate(leaf)?),
        issuer: certificate.issuer().to_string(),
        not_before,
        not_after,
        challenge: match on {
            Answer::Http01(_) => "http-01",
            Answer::TlsAlpn01(_) => "tls-alpn-01",
        },
        seconds: took.as_secs_f64(),
        chain,
    })
}
