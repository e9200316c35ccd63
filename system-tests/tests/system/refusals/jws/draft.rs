//! A request that would be right, and what makes it wrong.

use std::sync::Arc;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use certfleet_acme::SigningKey;
use certfleet_domain::ProblemKind;
use certfleet_system_tests::acme::{Account, Acme, JOSE_JSON};
use serde_json::{Value, json};

/// A request that would be right: newOrder by an account.
pub(super) struct Draft {
    pub(super) account: Account,
    pub(super) url: String,
    pub(super) content_type: Option<&'static str>,
    pub(super) protected: Value,
    pub(super) payload: Vec<u8>,
    /// Who signs; the account's own key unless a case says otherwise.
    pub(super) key: Arc<SigningKey>,
}

impl Draft {
    pub(super) async fn new(acme: &Acme, account: &Account) -> Result<Self> {
        let url = acme.directory().new_order.clone();
        Ok(Self {
            protected: json!({
                "alg": "ES256", "kid": account.url, "nonce": acme.nonce().await?, "url": url,
            }),
            url,
            content_type: Some(JOSE_JSON),
            payload: br#"{"identifiers":[{"type":"dns","value":"refusals.test"}]}"#.to_vec(),
            key: Arc::clone(&account.key),
            account: account.clone(),
        })
    }

    /// The JWS, signed over whatever the header is by now.
    pub(super) fn jws(&self) -> Value {
        let text = self
            .key
            .sign_flattened(&self.protected.to_string(), &self.payload);
        serde_json::from_str(&text.unwrap()).unwrap()
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.protected[name] = value.into();
    }

    fn without(&mut self, name: &str) {
        self.protected.as_object_mut().unwrap().remove(name);
    }

    /// The key itself in place of its account.
    pub(super) fn by_jwk(&mut self, jwk: Value) {
        self.without("kid");
        self.set("jwk", jwk);
    }
}

/// What a case makes of the draft: the body that is sent.
pub(super) type Spoil = fn(&mut Draft) -> String;

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) status: u16,
    pub(super) kind: ProblemKind,
    /// What the detail has to say, among other things.
    pub(super) says: &'static str,
    pub(super) body: Spoil,
}

pub(super) const fn case(
    name: &'static str,
    status: u16,
    kind: ProblemKind,
    says: &'static str,
    body: Spoil,
) -> Case {
    Case {
        name,
        status,
        kind,
        says,
        body,
    }
}

/// The header is changed, and the whole signed as if it were right.
pub(super) fn header(draft: &mut Draft, name: &str, value: impl Into<Value>) -> String {
    draft.set(name, value);
    draft.jws().to_string()
}

/// The header lacks something.
pub(super) fn lacking(draft: &mut Draft, name: &str) -> String {
    draft.without(name);
    draft.jws().to_string()
}

/// A member of the right JWS is encoded otherwise.
pub(super) fn encoded(draft: &Draft, member: &str, encode: fn(&[u8]) -> String) -> String {
    let mut jws = draft.jws();
    let octets = BASE64URL.decode(jws[member].as_str().unwrap()).unwrap();
    jws[member] = encode(&octets).into();
    jws.to_string()
}

pub(super) fn with_jwk(draft: &mut Draft, jwk: Value) -> String {
    draft.by_jwk(jwk);
    draft.jws().to_string()
}
