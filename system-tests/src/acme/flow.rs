//! A whole flow: order, proof, finalization, download (RFC 8555 §7.4).

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use certfleet_acme::messages::{
    AuthorizationResponse, ChallengeResponse, Finalize, OrderResponse, RevokeCertificate,
};
use certfleet_acme::{Base64Url, CertId, dns01_value, key_authorization};
use certfleet_domain::{AuthorizationStatus, OrderStatus};
use certfleet_testkit::ChallengeServer;
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};
use x509_parser::extensions::ParsedExtension;
use x509_parser::pem::Pem;

use super::{Account, Acme, Answer, Csr};

/// The longest to wait for a worker's result: the time in which a backlog has to be gone after a fault.
const RESULT_WITHIN: Duration = Duration::from_secs(300);

/// How to prove control of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A file (RFC 8555 §8.3).
    Http01,
    /// A TXT record (RFC 8555 §8.4).
    Dns01,
    /// A certificate (RFC 8737).
    TlsAlpn01,
}

impl Proof {
    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

/// What a flow ends with.
#[derive(Debug)]
pub struct Issued {
    /// The order's URL.
    pub order_url: String,
    /// The order, valid.
    pub order: OrderResponse,
    /// The certificate's URL.
    pub url: String,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// The whole chain as it came, PEM.
    pub pem: String,
    /// What was sent to be signed.
    pub csr: Csr,
}

impl Issued {
    /// How ARI names the certificate (RFC 9773 §4.1).
    pub fn cert_id(&self) -> Result<CertId> {
        let (_, parsed) = x509_parser::parse_x509_certificate(&self.certificate)?;
        let key_identifier = parsed
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(found) => found.key_identifier.as_ref(),
                _ => None,
            })
            .context("no authority key identifier")?;
        Ok(CertId {
            key_identifier: key_identifier.0.to_vec(),
            serial: parsed.raw_serial().to_vec(),
        })
    }
}

/// Identifiers as newOrder takes them.
pub fn identifiers(names: &[impl AsRef<str>]) -> Value {
    names
        .iter()
        .map(|name| {
            let name = name.as_ref();
            let kind = if name.parse::<IpAddr>().is_ok() {
                "ip"
            } else {
                "dns"
            };
            json!({ "type": kind, "value": name })
        })
        .collect()
}

impl Acme {
    /// A new order: its URL and what it says.
    pub async fn order(&self, account: &Account, wish: &Value) -> Result<(String, OrderResponse)> {
        let url = self.directory().new_order.clone();
        let answer = self.post(account, &url, wish).await?.expect(201)?;
        Ok((answer.location()?, answer.json()?))
    }

    /// A new order for these names.
    pub async fn order_for(
        &self,
        account: &Account,
        names: &[impl AsRef<str>],
    ) -> Result<(String, OrderResponse)> {
        self.order(account, &json!({ "identifiers": identifiers(names) }))
            .await
    }

    /// An order for these names with everything proven.
    pub async fn ready_order(
        &self,
        account: &Account,
        names: &[impl AsRef<str>],
        answers: &ChallengeServer,
    ) -> Result<(String, OrderResponse)> {
        let (url, order) = self.order_for(account, names).await?;
        self.prove_all(account, &order, Proof::Http01, answers)
            .await?;
        Ok((url, order))
    }

    /// Proves everything that an order asks for.
    pub async fn prove_all(
        &self,
        account: &Account,
        order: &OrderResponse,
        proof: Proof,
        answers: &ChallengeServer,
    ) -> Result<()> {
        for url in &order.authorizations {
            self.prove(account, url, proof, answers).await?;
        }
        Ok(())
    }

    /// The authorization of this URL, and its challenge of this kind.
    pub async fn challenge(
        &self,
        account: &Account,
        url: &str,
        proof: Proof,
    ) -> Result<(AuthorizationResponse, ChallengeResponse)> {
        let authorization: AuthorizationResponse =
            self.read(account, url).await?.expect(200)?.json()?;
        let challenge = authorization
            .challenges
            .iter()
            .find(|challenge| challenge.kind == proof.name())
            .with_context(|| format!("no {} in {authorization:?}", proof.name()))?
            .clone();
        Ok((authorization, challenge))
    }

    /// Proves one authorization in this way, unless it is proven.
    pub async fn prove(
        &self,
        account: &Account,
        url: &str,
        proof: Proof,
        answers: &ChallengeServer,
    ) -> Result<()> {
        let (authorization, challenge) = self.challenge(account, url, proof).await?;
        if authorization.status == AuthorizationStatus::Valid {
            return Ok(());
        }
        let token = challenge
            .token
            .as_deref()
            .context("a challenge without token")?;
        let content = key_authorization(token, &account.thumbprint());
        let name = &authorization.identifier.value;
        match proof {
            Proof::Http01 => answers.add_http01(token, &content),
            Proof::Dns01 => {
                answers.add_txt(&format!("_acme-challenge.{name}"), &dns01_value(&content));
            }
            Proof::TlsAlpn01 => answers.add_tls_alpn01(name, &content),
        }
        self.post(account, &challenge.url, &json!({}))
            .await?
            .expect(200)?;
        let decided = |value: &Value| value["status"] != "pending";
        let value = self
            .read_until(account, url, RESULT_WITHIN, decided)
            .await?;
        ensure!(value["status"] == "valid", "not proven: {value}");
        Ok(())
    }

    /// The payload of revokeCert.
    pub fn revocation(certificate: &[u8], reason: Option<i64>) -> Result<Value> {
        let certificate = Base64Url(certificate.to_vec());
        Ok(serde_json::to_value(RevokeCertificate {
            certificate,
            reason,
        })?)
    }

    /// Asks an account's certificate to be revoked; gives the answer as it is.
    pub async fn revoke(
        &self,
        account: &Account,
        certificate: &[u8],
        reason: Option<i64>,
    ) -> Result<Answer> {
        let url = self.directory().revoke_cert.clone();
        self.post(account, &url, &Self::revocation(certificate, reason)?)
            .await
    }

    /// Sends a CSR; gives the answer as it is.
    pub async fn finalize(
        &self,
        account: &Account,
        order: &OrderResponse,
        csr: &[u8],
    ) -> Result<Answer> {
        let payload = serde_json::to_value(Finalize {
            csr: Base64Url(csr.to_vec()),
        })?;
        self.post(account, &order.finalize, &payload).await
    }

    /// Waits until an order is decided: valid or invalid.
    pub async fn decided(&self, account: &Account, url: &str) -> Result<OrderResponse> {
        let decided = |value: &Value| value["status"] == "valid" || value["status"] == "invalid";
        let value = self
            .read_until(account, url, RESULT_WITHIN, decided)
            .await?;
        Ok(serde_json::from_value(value)?)
    }

    /// Finalizes a ready order and downloads the certificate.
    pub async fn complete(
        &self,
        account: &Account,
        url: &str,
        order: &OrderResponse,
        csr: Csr,
    ) -> Result<Issued> {
        let answer = self.finalize(account, order, &csr.der).await?;
        // An earlier answer may have been lost on its way: then the order is decided, and is read.
        if answer.status != 403 {
            answer.expect(200)?;
        }
        let order = self.decided(account, url).await?;
        let (OrderStatus::Valid, Some(certificate_url)) = (order.status, order.certificate.clone())
        else {
            bail!("the order has failed: {:?}", order.error);
        };
        let pem = self
            .read(account, &certificate_url)
            .await?
            .expect(200)?
            .text();
        let certificate = leaf(&pem)?;
        ensure!(
            public_key_of(&certificate)? == csr.key.subject_public_key_info(),
            "the certificate is for another key"
        );
        Ok(Issued {
            order_url: url.to_owned(),
            order,
            url: certificate_url,
            certificate,
            pem,
            csr,
        })
    }

    /// A certificate for these names, proven over http-01.
    pub async fn issue(
        &self,
        account: &Account,
        names: &[impl AsRef<str>],
        answers: &ChallengeServer,
    ) -> Result<Issued> {
        let (url, order) = self.ready_order(account, names, answers).await?;
        self.complete(account, &url, &order, Csr::new(names)?).await
    }
}

/// The first certificate of a chain, DER.
fn leaf(pem: &str) -> Result<Vec<u8>> {
    let first = Pem::iter_from_buffer(pem.as_bytes()).next();
    Ok(first.context("an empty chain")??.contents)
}

fn public_key_of(certificate: &[u8]) -> Result<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)?;
    Ok(parsed.public_key().raw.to_vec())
}
