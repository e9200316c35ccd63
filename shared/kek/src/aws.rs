//! A KEK in AWS KMS (`TrentService.Encrypt`, `TrentService.Decrypt`).
//!
//! The encryption context is the SHA-256 of what the data key is bound to: it stands in CloudTrail, and names nothing there.
//! Credentials are found as AWS's own tools find them: variables, the shared files, a web identity's token (IRSA), a
//! container's or an instance's role.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use certfleet_outgoing::Trust;
use certfleet_secrets::{AwsKmsKey, DataKey, KekError, KekFuture, KekId, KekProvider, WrapNonce};
use reqsign_aws_v4::{Credential, DefaultCredentialProvider, RequestSigner};
use reqsign_core::{Context, FileRead, HttpSend, OsEnv, Signer};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use crate::answer::{Base64Key, away, client, explained, parse};
use crate::open::KekOpenError;

/// How KMS is reached.
#[derive(Debug, Clone, Default)]
pub struct AwsAccess {
    /// Another endpoint than the region's own, such as a VPC's.
    pub endpoint: Option<Url>,
}

/// A KEK in AWS KMS.
pub struct AwsKek {
    id: KekId,
    arn: String,
    endpoint: Url,
    client: Client,
    signer: Signer<Credential>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    plaintext: Base64Key,
}

#[derive(Deserialize)]
struct Trouble {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl AwsKek {
    /// The KEK of this ARN. Whether it is there shows when it is used.
    ///
    /// # Errors
    /// Its id cannot name a KEK, or no client can be had.
    pub fn new(key: &AwsKmsKey, access: &AwsAccess) -> Result<Self, KekOpenError> {
        let place = format!("aws-kms:{}/{}", key.region, key.id);
        let id = place.parse();
        let id = id.map_err(|source| KekOpenError::Name {
            place: place.clone(),
            source,
        })?;
        let endpoint = access.endpoint.clone().or_else(|| regional(key));
        let endpoint = endpoint.ok_or(KekOpenError::Region(place))?;
        let client = client(&endpoint, &Trust::default())?;
        let context = Context::new()
            .with_env(OsEnv)
            .with_file_read(Files)
            .with_http_send(Http(client.clone()));
        let credentials = DefaultCredentialProvider::new();
        let signer = Signer::new(context, credentials, RequestSigner::new("kms", &key.region));
        Ok(Self {
            id,
            arn: key.arn.clone(),
            endpoint,
            client,
            signer,
        })
    }

    async fn ask<T: DeserializeOwned>(&self, act: &str, question: &Value) -> Result<T, KekError> {
        let body = Zeroizing::new(question.to_string());
        let hash = hex::encode(digest(&SHA256, body.as_bytes()));
        let request = http::Request::post(self.endpoint.as_str())
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{act}"))
            .header("x-amz-content-sha256", hash)
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .map_err(|error| KekError::Unavailable(error.to_string()))?;
        let (mut head, body) = request.into_parts();
        self.signer
            .sign(&mut head, None)
            .await
            .map_err(|error| KekError::Unavailable(format!("AWS credentials: {error}")))?;
        let request = reqwest::Request::try_from(http::Request::from_parts(head, body))
            .map_err(|error| away(&error))?;
        let answer = self.client.execute(request).await;
        let answer = answer.map_err(|error| away(&error))?;
        let status = answer.status();
        let octets = answer.bytes().await.map_err(|error| away(&error))?;
        let octets = Zeroizing::new(octets.to_vec());
        if status == StatusCode::OK {
            return parse(&octets);
        }
        Err(refusal(status, &octets))
    }
}

fn regional(key: &AwsKmsKey) -> Option<Url> {
    let suffix = if key.arn.starts_with("arn:aws-cn:") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    Url::parse(&format!("https://kms.{}.{suffix}/", key.region)).ok()
}

/// What the data key is bound to.
fn bound_to(context: &[u8]) -> Value {
    json!({ "certfleet": hex::encode(digest(&SHA256, context)) })
}

/// What an answer other than 200 says. Only that the ciphertext is not this key's is a refusal.
fn refusal(status: StatusCode, octets: &[u8]) -> KekError {
    let Ok(trouble) = serde_json::from_slice::<Trouble>(octets) else {
        return KekError::Unavailable(format!("it answers {status}"));
    };
    // Some put a namespace and a `#` before it.
    let kind = trouble.kind.rsplit('#').next().unwrap_or_default();
    match kind {
        "InvalidCiphertextException" | "IncorrectKeyException" => KekError::Refused,
        kind => KekError::Unavailable(explained(&format!("{kind}: {}", trouble.message))),
    }
}

impl KekProvider for AwsKek {
    fn id(&self) -> &KekId {
        &self.id
    }

    /// KMS takes a nonce of its own.
    fn wrap<'a>(
        &'a self,
        data_key: &'a DataKey,
        context: &'a [u8],
        _: WrapNonce,
    ) -> KekFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let question = json!({
                "KeyId": self.arn,
                "Plaintext": Base64Key::of(data_key).as_str(),
                "EncryptionContext": bound_to(context),
            });
            let answer: Encrypted = self.ask("Encrypt", &question).await?;
            let wrapped = STANDARD.decode(answer.ciphertext_blob);
            wrapped.map_err(|_| KekError::Unavailable("the answer is not base64".to_owned()))
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> KekFuture<'a, DataKey> {
        Box::pin(async move {
            let question = json!({
                "KeyId": self.arn,
                "CiphertextBlob": STANDARD.encode(wrapped),
                "EncryptionContext": bound_to(context),
            });
            let answer: Decrypted = self.ask("Decrypt", &question).await?;
            answer.plaintext.read()
        })
    }
}

/// How credentials are asked for.
#[derive(Debug)]
struct Http(Client);

impl HttpSend for Http {
    async fn http_send(
        &self,
        request: http::Request<Bytes>,
    ) -> reqsign_core::Result<http::Response<Bytes>> {
        let failed = |error: reqwest::Error| {
            reqsign_core::Error::unexpected("it cannot be asked").with_source(error)
        };
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let answer = self.0.execute(request).await.map_err(failed)?;
        let mut response = http::Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        *response.body_mut() = answer.bytes().await.map_err(failed)?;
        Ok(response)
    }
}

/// How files with credentials are read.
#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        tokio::fs::read(path)
            .await
            .map_err(|error| reqsign_core::Error::config_invalid(format!("{path}: {error}")))
    }
}
