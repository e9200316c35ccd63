//! The fleet's account at an authority, and the steps of an order.

use certfleet_acme::messages::{
    AuthorizationResponse, ChallengeStatus, Finalize, Identifier as WireIdentifier, NewAccount,
    NewOrder as WireOrder, OrderResponse, OrdersList,
};
use certfleet_acme::{Base64Url, KeyReference, SigningKey, bind, key_authorization};
use certfleet_domain::{AuthorizationStatus, ChallengeKind, Contact, Identifier, OrderStatus};
use serde::Serialize;
use serde_json::json;

use crate::answer::Answer;
use crate::error::UpstreamError;
use crate::server::Server;

/// So many of the account's latest orders are looked at for one that was lost.
const LOOKED_AT: usize = 50;

/// The fleet's account at an authority.
pub struct Member<'s> {
    server: &'s Server,
    key: SigningKey,
    url: String,
}

/// What an order is to be for.
#[derive(Debug, Clone)]
pub struct NewOrder<'o> {
    /// The names.
    pub names: &'o [Identifier],
    /// The profile, where the authority has several.
    pub profile: Option<&'o str>,
    /// What it replaces (RFC 9773 §5).
    pub replaces: Option<&'o str>,
}

/// What has to be shown to prove a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// How it is proven.
    pub kind: ChallengeKind,
    /// The name.
    pub identifier: String,
    /// Where: the token.
    pub token: String,
    /// What: the key authorization (RFC 8555 §8.1).
    pub key_authorization: String,
    /// The challenge's URL.
    pub challenge: String,
}

/// How far an order is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// These names have to be proven yet.
    Pending(Vec<Proof>),
    /// The authority looks at what was to be shown.
    Validating,
    /// It takes the request.
    Ready,
    /// It signs.
    Processing,
    /// The certificate is there.
    Valid,
    /// It came to nothing, for this reason.
    Failed(String),
}

impl<'s> Member<'s> {
    /// The account of this key, made if there is none. Made twice, it is the same.
    ///
    /// # Errors
    /// The authority is away, or does not take members.
    pub async fn join(
        server: &'s Server,
        key: SigningKey,
        contacts: &[Contact],
        binding: Option<(&str, &[u8])>,
    ) -> Result<Self, UpstreamError> {
        let url = server.directory().new_account.clone();
        let wish = NewAccount {
            contact: contacts.iter().map(ToString::to_string).collect(),
            terms_of_service_agreed: Some(true),
            only_return_existing: None,
            external_account_binding: binding
                .map(|(kid, mac_key)| bind(kid, mac_key, key.public(), &url)),
        };
        let answer = server
            .post(&key, &key.jwk(), &url, &payload(&wish)?)
            .await?;
        Ok(Self {
            url: answer.location()?,
            server,
            key,
        })
    }

    /// The account of this key, which was made before and has this URL.
    pub fn known(server: &'s Server, key: SigningKey, url: String) -> Self {
        Self { server, key, url }
    }

    /// The account's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Places an order; gives its URL.
    ///
    /// # Errors
    /// Whether the order was placed is not known if the authority is [away](UpstreamError::Away): [look](Self::find_order).
    pub async fn place(&self, order: &NewOrder<'_>) -> Result<String, UpstreamError> {
        let wish = WireOrder {
            identifiers: order.names.iter().map(WireIdentifier::from).collect(),
            profile: order.profile.map(str::to_owned),
            replaces: order.replaces.map(str::to_owned),
            ..WireOrder::default()
        };
        let url = &self.server.directory().new_order;
        self.post(url, &payload(&wish)?).await?.location()
    }

    /// An order for these names that can still lead to a certificate, if the account has one: what [`place`](Self::place) made
    /// and nobody has written down. `None` too if the authority keeps no list.
    ///
    /// # Errors
    /// The authority is away.
    pub async fn find_order(&self, names: &[Identifier]) -> Result<Option<String>, UpstreamError> {
        let account: serde_json::Value = self.post(&self.url, b"").await?.json()?;
        let Some(mut page) = account["orders"].as_str().map(str::to_owned) else {
            return Ok(None);
        };
        let mut urls: Vec<String> = Vec::new();
        // Lists have pages (RFC 8555 §7.1.2.1), and what was placed last may be on the last.
        for _ in 0..LOOKED_AT {
            let answer = self.post(&page, b"").await?;
            urls.extend(answer.json::<OrdersList>()?.orders);
            match next_page(&answer) {
                Some(next) => page = next,
                None => break,
            }
        }
        for url in urls.into_iter().rev().take(LOOKED_AT) {
            let order = self.order(&url).await?;
            let mut its: Vec<Identifier> = order
                .identifiers
                .iter()
                .filter_map(|identifier| identifier.parse().ok())
                .collect();
            its.sort();
            let is_open = match order.status {
                OrderStatus::Pending | OrderStatus::Ready => true,
                OrderStatus::Processing | OrderStatus::Valid | OrderStatus::Invalid => false,
            };
            if is_open && its == names {
                return Ok(Some(url));
            }
        }
        Ok(None)
    }

    /// How far an order is, and what has to be shown for it, where `by` says of a name how it is to be proven.
    ///
    /// # Errors
    /// The authority is away; or has forgotten the order, which is [not found](UpstreamError::is_not_found).
    pub async fn progress(
        &self,
        order_url: &str,
        by: &(dyn Fn(&Identifier) -> ChallengeKind + Sync),
    ) -> Result<Progress, UpstreamError> {
        let order = self.order(order_url).await?;
        match order.status {
            OrderStatus::Ready => Ok(Progress::Ready),
            OrderStatus::Processing => Ok(Progress::Processing),
            OrderStatus::Valid => Ok(Progress::Valid),
            OrderStatus::Invalid => Ok(Progress::Failed(self.why(&order).await)),
            OrderStatus::Pending => self.to_prove(&order, by).await,
        }
    }

    async fn to_prove(
        &self,
        order: &OrderResponse,
        by: &(dyn Fn(&Identifier) -> ChallengeKind + Sync),
    ) -> Result<Progress, UpstreamError> {
        let mut proofs = Vec::new();
        for url in &order.authorizations {
            let authorization = self.authorization(url).await?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Invalid
                | AuthorizationStatus::Deactivated
                | AuthorizationStatus::Expired
                | AuthorizationStatus::Revoked => {
                    return Ok(Progress::Failed(why_not(&authorization)));
                }
            }
            let name = &authorization.identifier.value;
            let identifier: Identifier = authorization
                .identifier
                .parse()
                .map_err(|_| UpstreamError::Strange(format!("{name:?} is no name")))?;
            let kind = by(&identifier);
            let Some(challenge) = authorization
                .challenges
                .iter()
                .find(|challenge| challenge.known_kind() == Some(kind))
            else {
                return Ok(Progress::Failed(format!(
                    "{name} cannot be proven by {} at this authority",
                    kind.name()
                )));
            };
            if challenge.status != ChallengeStatus::Pending {
                continue;
            }
            let token = challenge.token.clone().filter(|token| is_token(token));
            let token = token.ok_or_else(|| {
                UpstreamError::Strange(format!("{name}: a challenge without a token"))
            })?;
            proofs.push(Proof {
                kind,
                identifier: name.clone(),
                key_authorization: key_authorization(&token, &self.key.public().thumbprint()),
                token,
                challenge: challenge.url.clone(),
            });
        }
        Ok(if proofs.is_empty() {
            Progress::Validating
        } else {
            Progress::Pending(proofs)
        })
    }

    /// What is to be shown is shown: have it looked at.
    ///
    /// # Errors
    /// The authority is away.
    pub async fn shown(&self, proof: &Proof) -> Result<(), UpstreamError> {
        self.post(&proof.challenge, b"{}").await?;
        Ok(())
    }

    /// Sends the request of an order that is ready. An order takes one only; sent again, it is refused.
    ///
    /// # Errors
    /// The authority is away, or refuses the request.
    pub async fn finalize(&self, order_url: &str, csr: &[u8]) -> Result<(), UpstreamError> {
        let order = self.order(order_url).await?;
        let wish = Finalize {
            csr: Base64Url(csr.to_vec()),
        };
        self.post(&order.finalize, &payload(&wish)?).await?;
        Ok(())
    }

    /// The chain of an order that is valid, PEM.
    ///
    /// # Errors
    /// The authority is away.
    pub async fn download(&self, order_url: &str) -> Result<String, UpstreamError> {
        let order = self.order(order_url).await?;
        let url = order.certificate.ok_or_else(|| {
            UpstreamError::Strange("an order that is valid has no certificate".to_owned())
        })?;
        self.post(&url, b"").await?.text()
    }

    /// Why an order failed: its own word, or that of the names that were not proven.
    async fn why(&self, order: &OrderResponse) -> String {
        let mut told = Vec::new();
        for url in &order.authorizations {
            if let Ok(authorization) = self.authorization(url).await
                && authorization.status == AuthorizationStatus::Invalid
            {
                told.push(why_not(&authorization));
            }
        }
        if told.is_empty() {
            let said = order.error.as_ref().map(|error| error.detail.clone());
            return said.unwrap_or_else(|| "the order failed, for no reason given".to_owned());
        }
        told.join("; ")
    }

    async fn order(&self, url: &str) -> Result<OrderResponse, UpstreamError> {
        self.post(url, b"").await?.json()
    }

    async fn authorization(&self, url: &str) -> Result<AuthorizationResponse, UpstreamError> {
        self.post(url, b"").await?.json()
    }

    async fn post(&self, url: &str, payload: &[u8]) -> Result<Answer, UpstreamError> {
        let by = KeyReference::Kid(self.url.clone());
        self.server.post(&self.key, &by, url, payload).await
    }
}

/// What RFC 8555 §8.1 says of tokens: base64url. It becomes part of a path, and a key in a database.
fn is_token(text: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    (1..=256).contains(&text.len()) && text.bytes().all(plain)
}

fn why_not(authorization: &AuthorizationResponse) -> String {
    let name = &authorization.identifier.value;
    let mut errors = authorization
        .challenges
        .iter()
        .filter_map(|challenge| challenge.error.as_ref());
    match errors.next() {
        Some(error) => format!("{name}: {} ({})", error.detail, error.type_urn),
        None => format!("{name}: not proven"),
    }
}

/// The next page of a list (RFC 8555 §7.1.2.1).
fn next_page(answer: &Answer) -> Option<String> {
    answer
        .headers
        .get_all(http::header::LINK)
        .iter()
        .filter_map(|link| link.to_str().ok())
        .flat_map(|links| links.split(','))
        .find(|link| {
            let relation: String = link.chars().filter(|c| !c.is_whitespace()).collect();
            relation.ends_with(";rel=\"next\"") || relation.ends_with(";rel=next")
        })
        .and_then(|link| link.split_once('<')?.1.split_once('>'))
        .map(|(url, _)| url.to_owned())
}

fn payload(wish: &impl Serialize) -> Result<Vec<u8>, UpstreamError> {
    serde_json::to_vec(&json!(wish)).map_err(|error| UpstreamError::Strange(error.to_string()))
}
