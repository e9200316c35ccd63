//! Signed requests: flattened JWS with ES256 (RFC 7515, RFC 7518 §3.4), as RFC 8555 §6.2 wants them.
//!
//! Written here and not taken from the server's crates, so that every server meets the same stranger.

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::Serialize;

/// An account's P-256 key.
pub(crate) struct AccountKey {
    pair: EcdsaKeyPair,
    jwk: Jwk,
    thumbprint: String,
    random: SystemRandom,
}

/// Members in the order RFC 7638 hashes them in.
#[derive(Serialize)]
struct Jwk {
    crv: &'static str,
    kty: &'static str,
    x: String,
    y: String,
}

/// How a request says who signed it: by the key itself, or by the account's URL once there is one.
#[derive(Clone, Copy)]
pub(crate) enum Identity<'a> {
    Jwk,
    Kid(&'a str),
}

#[derive(Serialize)]
struct Protected<'a> {
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a Jwk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    nonce: &'a str,
    url: &'a str,
}

impl AccountKey {
    /// A fresh key.
    pub(crate) fn generate() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .context("an account key could not be generated")?;
        Self::from_pair(pair)
    }

    fn from_pair(pair: EcdsaKeyPair) -> Result<Self> {
        let jwk = Jwk::from_point(pair.public_key().as_ref())?;
        let thumbprint = jwk.thumbprint()?;
        Ok(Self {
            pair,
            jwk,
            thumbprint,
            random: SystemRandom::new(),
        })
    }

    /// What a challenge's token is answered with (RFC 8555 §8.1).
    pub(crate) fn key_authorization(&self, token: &str) -> String {
        format!("{token}.{}", self.thumbprint)
    }

    /// The request's body. `payload` is JSON text; empty for a POST-as-GET (RFC 8555 §6.3).
    pub(crate) fn sign(
        &self,
        identity: Identity<'_>,
        nonce: &str,
        url: &str,
        payload: &str,
    ) -> Result<String> {
        let (jwk, kid) = match identity {
            Identity::Jwk => (Some(&self.jwk), None),
            Identity::Kid(kid) => (None, Some(kid)),
        };
        let protected = serde_json::to_vec(&Protected {
            alg: "ES256",
            jwk,
            kid,
            nonce,
            url,
        })?;
        let mut input = BASE64URL.encode(protected);
        let dot = input.len();
        input.push('.');
        BASE64URL.encode_string(payload, &mut input);
        let signature = self
            .pair
            .sign(&self.random, input.as_bytes())
            .context("a request could not be signed")?;
        let (protected, payload) = (&input[..dot], &input[dot + 1..]);
        let signature = BASE64URL.encode(signature);
        Ok(format!(
            r#"{{"protected":"{protected}","payload":"{payload}","signature":"{signature}"}}"#
        ))
    }
}

impl Jwk {
    /// From an uncompressed point: 0x04, 32 octets of x, 32 octets of y.
    fn from_point(point: &[u8]) -> Result<Self> {
        let coordinates = point
            .strip_prefix(&[4])
            .filter(|rest| rest.len() == 64)
            .context("the public key is not an uncompressed P-256 point")?;
        let (x, y) = coordinates.split_at(32);
        Ok(Self {
            crv: "P-256",
            kty: "EC",
            x: BASE64URL.encode(x),
            y: BASE64URL.encode(y),
        })
    }

    /// RFC 7638.
    fn thumbprint(&self) -> Result<String> {
        Ok(BASE64URL.encode(digest(&SHA256, &serde_json::to_vec(self)?)))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    /// The key of RFC 7515 appendix A.3.
    fn rfc7515_key() -> AccountKey {
        let decode = |text| BASE64URL.decode(text).unwrap();
        let mut point = vec![4];
        point.extend(decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"));
        point.extend(decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"),
            &point,
        )
        .unwrap();
        AccountKey::from_pair(pair).unwrap()
    }

    fn verify(key: &AccountKey, body: &str) -> (Value, String) {
        let body: Value = serde_json::from_str(body).unwrap();
        let part = |name: &str| body[name].as_str().unwrap().to_owned();
        let input = format!("{}.{}", part("protected"), part("payload"));
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.pair.public_key().as_ref())
            .verify(
                input.as_bytes(),
                &BASE64URL.decode(part("signature")).unwrap(),
            )
            .unwrap();
        let protected = BASE64URL.decode(part("protected")).unwrap();
        let payload = BASE64URL.decode(part("payload")).unwrap();
        (
            serde_json::from_slice(&protected).unwrap(),
            String::from_utf8(payload).unwrap(),
        )
    }

    #[test]
    fn the_rfc_7515_example_has_this_thumbprint() {
        let key = rfc7515_key();
        assert_eq!(
            key.key_authorization("tok"),
            "tok.oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"
        );
    }

    #[test]
    fn the_rfc_7515_example_signature_is_of_this_key() {
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA\
                         pmWQxfKTUJqPP3-Kg6NU1Q";
        let input = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6\
                     Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        UnparsedPublicKey::new(
            &ECDSA_P256_SHA256_FIXED,
            rfc7515_key().pair.public_key().as_ref(),
        )
        .verify(input.as_bytes(), &BASE64URL.decode(signature).unwrap())
        .unwrap();
    }

    #[test]
    fn a_new_account_carries_its_key_and_no_kid() {
        let key = AccountKey::generate().unwrap();
        let body = key
            .sign(Identity::Jwk, "n1", "https://ca.test/new", "{}")
            .unwrap();
        let (protected, payload) = verify(&key, &body);
        assert_eq!(protected["alg"], "ES256");
        assert_eq!(protected["nonce"], "n1");
        assert_eq!(protected["url"], "https://ca.test/new");
        assert_eq!(protected["jwk"]["crv"], "P-256");
        assert!(protected.get("kid").is_none());
        assert_eq!(payload, "{}");
    }

    #[test]
    fn a_post_as_get_has_an_empty_payload_and_no_key() {
        let key = AccountKey::generate().unwrap();
        let kid = "https://ca.test/a\"1";
        let body = key.sign(Identity::Kid(kid), "n", "u", "").unwrap();
        let (protected, payload) = verify(&key, &body);
        assert_eq!(protected["kid"], kid);
        assert!(protected.get("jwk").is_none());
        assert_eq!(payload, "");
    }
}
