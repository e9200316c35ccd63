//! A KEK in the transit engine of Vault or OpenBao (`/v1/MOUNT/encrypt/KEY`, `/v1/MOUNT/decrypt/KEY`).
//!
//! The engine authenticates the context as associated data (Vault 1.12 and up; any OpenBao), keeps the versions of its key
//! itself, and names the version in what it has wrapped. The token is read from its file for each call, so that whoever
//! renews it, such as Vault Agent, need tell nobody.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certfleet_outgoing::Trust;
use certfleet_secrets::{
    DataKey, KekError, KekFuture, KekId, KekProvider, TransitKey, WrapNonce, read_private_file,
};
use reqwest::header::HeaderValue;
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::Url;
use zeroize::Zeroizing;

use crate::answer::{Base64Key, away, client, explained, parse};
use crate::open::KekOpenError;

/// Longer than any token.
const LONGEST_TOKEN: usize = 8192;
/// The kinds of key that authenticate a context.
const KINDS: [&str; 3] = ["aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"];

/// How Vault is reached.
#[derive(Debug, Clone, Default)]
pub struct VaultAccess {
    /// The file that holds the token; nobody but its owner may be able to read it.
    pub token_file: Option<PathBuf>,
    /// The roots of the server's certificate, PEM; the system's without it.
    pub ca_file: Option<PathBuf>,
    /// The namespace, where there are any.
    pub namespace: Option<String>,
}

/// A KEK in a transit engine.
pub struct VaultKek {
    id: KekId,
    key: TransitKey,
    client: Client,
    token_file: PathBuf,
    namespace: Option<String>,
    /// Set once the key has shown itself to be of the right kind.
    known: OnceCell<()>,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct KeyData {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    derived: bool,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: Base64Key,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

impl VaultKek {
    /// The KEK of this name. Whether it is there shows when it is used.
    ///
    /// # Errors
    /// Its name, or the mount's, is too long for an id; or no client can be had.
    pub fn new(key: &TransitKey, access: &VaultAccess) -> Result<Self, KekOpenError> {
        let place = format!("vault:{}/{}", key.mount, key.name);
        let id = place
            .parse()
            .map_err(|source| KekOpenError::Name { place, source })?;
        let trust = Trust {
            roots: access.ca_file.clone(),
            identity: None,
        };
        Ok(Self {
            id,
            key: key.clone(),
            client: client(&key.server, &trust)?,
            token_file: access
                .token_file
                .clone()
                .ok_or(KekOpenError::NoVaultToken)?,
            namespace: access.namespace.clone(),
            known: OnceCell::new(),
        })
    }

    /// To encrypt under a name that there is no key of would make one, where the token may.
    async fn check(&self) -> Result<(), KekError> {
        let ask = async || {
            let key: KeyData = self.ask(Method::GET, "keys", None).await?;
            if key.derived || !KINDS.contains(&key.kind.as_str()) {
                return Err(KekError::Unavailable(format!(
                    "the key is of type {}{}: one of {} that is not derived is due",
                    key.kind,
                    if key.derived { ", derived" } else { "" },
                    KINDS.join(", ")
                )));
            }
            Ok(())
        };
        self.known.get_or_try_init(ask).await.copied()
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        what: &str,
        question: Option<Value>,
    ) -> Result<T, KekError> {
        let mut request = self
            .client
            .request(method, self.url(what))
            .header("X-Vault-Token", self.token().await?)
            .header("X-Vault-Request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(question) = question {
            request = request.json(&question);
        }
        let answer = request.send().await.map_err(|error| away(&error))?;
        let status = answer.status();
        let octets = answer.bytes().await.map_err(|error| away(&error))?;
        let octets = Zeroizing::new(octets.to_vec());
        if status == StatusCode::OK {
            return parse::<Answer<T>>(&octets).map(|answer| answer.data);
        }
        Err(refusal(status, &octets))
    }

    fn url(&self, what: &str) -> Url {
        let mut url = self.key.server.clone();
        url.set_path(&format!("/v1/{}/{what}/{}", self.key.mount, self.key.name));
        url
    }

    async fn token(&self) -> Result<HeaderValue, KekError> {
        let file = self.token_file.clone();
        let read = tokio::task::spawn_blocking(move || read_private_file(&file, LONGEST_TOKEN));
        let token = match read.await {
            Ok(Ok(token)) => token,
            Ok(Err(error)) => return Err(KekError::Unavailable(format!("Vault's token: {error}"))),
            Err(_) => return Err(KekError::Unavailable("this process ends".to_owned())),
        };
        let mut value = HeaderValue::from_bytes(token.trim_ascii())
            .map_err(|_| KekError::Unavailable("Vault's token is not one".to_owned()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// What an answer other than 200 says. Only that the ciphertext is not this key's is a refusal.
fn refusal(status: StatusCode, octets: &[u8]) -> KekError {
    let errors = serde_json::from_slice(octets).map_or_else(|_| Vec::new(), |e: Errors| e.errors);
    let said = errors.join("; ");
    let foreign = ["message authentication failed", "invalid ciphertext"];
    if status == StatusCode::BAD_REQUEST && foreign.iter().any(|words| said.contains(words)) {
        return KekError::Refused;
    }
    KekError::Unavailable(match (status.as_u16(), said.is_empty()) {
        (404, true) => "the engine has no such key, or is not mounted there".to_owned(),
        (code, true) => format!("it answers {code}"),
        (code, false) => format!("it answers {code}: {}", explained(&said)),
    })
}

impl KekProvider for VaultKek {
    fn id(&self) -> &KekId {
        &self.id
    }

    /// The engine takes a nonce of its own.
    fn wrap<'a>(
        &'a self,
        data_key: &'a DataKey,
        context: &'a [u8],
        _: WrapNonce,
    ) -> KekFuture<'a, Vec<u8>> {
        Box::pin(async move {
            self.check().await?;
            let question = json!({
                "plaintext": Base64Key::of(data_key).as_str(),
                "associated_data": STANDARD.encode(context),
            });
            let answer: Encrypted = self.ask(Method::POST, "encrypt", Some(question)).await?;
            Ok(answer.ciphertext.into_bytes())
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> KekFuture<'a, DataKey> {
        Box::pin(async move {
            let ciphertext = std::str::from_utf8(wrapped).map_err(|_| KekError::Refused)?;
            let question = json!({
                "ciphertext": ciphertext,
                "associated_data": STANDARD.encode(context),
            });
            let answer: Decrypted = self.ask(Method::POST, "decrypt", Some(question)).await?;
            answer.plaintext.read()
        })
    }
}
