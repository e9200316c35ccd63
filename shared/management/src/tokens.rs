//! Tokens of the REST API: `cft_<id>_<secret>`, of which the secret is never kept.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certfleet_audit::Act;
use certfleet_domain::{
    ApiToken, ApiTokenState, Clock as _, Grant, Scope, SystemClock, SystemRng, Timestamp,
    TokenDigest, TokenId,
};
use certfleet_storage::Store;
use rand::RngCore as _;
use zeroize::Zeroizing;

use crate::plan::Plan;
use crate::projects;
use crate::refused::Refused;

/// So many random octets are a secret.
const OCTETS: usize = 32;
/// A token's text begins with this, so that whoever scans for leaked secrets finds it.
const PREFIX: &str = "cft";
/// The longest label, in characters.
const LONGEST_LABEL: usize = 100;
/// So many roles one token may have.
const MOST_GRANTS: usize = 50;

/// A token that is to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Whom it is for.
    pub label: String,
    /// What it lets its bearer do.
    pub grants: Vec<Grant>,
    /// From when on it counts no more.
    pub expires_at: Option<Timestamp>,
}

/// A token that was made, with its text: the only time that this is at hand.
pub struct MadeToken {
    /// The token.
    pub token: ApiToken,
    /// What its bearer shows.
    pub text: Zeroizing<String>,
}

/// A token as somebody shows it.
pub struct ShownToken {
    /// Which.
    pub id: TokenId,
    /// The digest of the secret that was shown.
    pub digest: TokenDigest,
}

/// Text that is no token of ours. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoToken;

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no token of certfleet's, which begins with cft_")
    }
}

impl FromStr for ShownToken {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let parts = text
            .strip_prefix(PREFIX)
            .and_then(|text| text.strip_prefix('_'));
        // The secret may have underscores.
        let (id, secret) = parts.and_then(|text| text.split_once('_')).ok_or(NoToken)?;
        Ok(Self {
            id: id.parse().map_err(|_| NoToken)?,
            digest: digest_of(secret),
        })
    }
}

fn digest_of(secret: &str) -> TokenDigest {
    let mut octets = [0; 32];
    octets.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    TokenDigest::new(octets)
}

/// A token is made.
pub async fn add(store: &Store, wish: NewToken) -> Result<Plan<MadeToken>, Refused> {
    let label = wish.label;
    if label.is_empty()
        || label.chars().count() > LONGEST_LABEL
        || label.chars().any(char::is_control)
    {
        let why = format!("a label of 1 to {LONGEST_LABEL} characters is due");
        return Err(Refused::Invalid(why));
    }
    if wish.grants.is_empty() || wish.grants.len() > MOST_GRANTS {
        return Err(Refused::Invalid(format!(
            "1 to {MOST_GRANTS} roles are due"
        )));
    }
    for grant in &wish.grants {
        if let Scope::Project(project) = &grant.scope {
            projects::require(store, project).await?;
        }
    }
    let now = SystemClock.now();
    if wish.expires_at.is_some_and(|end| end <= now) {
        return Err(Refused::Invalid("the token would have expired".to_owned()));
    }
    let mut octets = Zeroizing::new([0; OCTETS]);
    SystemRng.fill_bytes(octets.as_mut());
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(octets.as_ref()));
    let token = ApiToken {
        id: TokenId::generate(&SystemClock, &mut SystemRng),
        label,
        digest: digest_of(&secret),
        grants: wish.grants,
        expires_at: wish.expires_at,
        state: ApiTokenState::Active,
        created_at: now,
        version: 0,
    };
    let text = Zeroizing::new(format!("{PREFIX}_{}_{}", token.id, secret.as_str()));
    let grants: Vec<String> = token.grants.iter().map(ToString::to_string).collect();
    let detail = format!("{}: {}", token.label, grants.join(" "));
    let target = format!("token/{}", token.id);
    let unit = store.access.insert_token(&token)?;
    Ok(Plan::new(MadeToken { token, text }, unit)
        .recording(Act::CreateToken, target)
        .with_detail(detail))
}

/// A token counts no more.
pub fn revoke(store: &Store, token: ApiToken) -> Result<Plan<ApiToken>, Refused> {
    let revoked = token
        .revoke(SystemClock.now())
        .map_err(|error| Refused::Conflict(error.to_string()))?;
    let target = format!("token/{}", revoked.id);
    let unit = store.access.update_token(&revoked)?;
    Ok(Plan::new(revoked, unit).recording(Act::RevokeToken, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_strictly_and_told_by_its_secret() {
        let id = "0190aaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let shown: ShownToken = format!("cft_{id}_a_b-c").parse().ok().unwrap();
        assert_eq!(
            (shown.id.to_string().as_str(), shown.digest),
            (id, digest_of("a_b-c"))
        );
        assert_ne!(shown.digest, digest_of("a_b-d"));
        for bad in [
            "",
            "cft_",
            "cft__",
            &format!("cft_{id}"),
            &format!("abc_{id}_x"),
            "cft_x_y",
        ] {
            assert!(bad.parse::<ShownToken>().is_err(), "{bad}");
        }
    }
}
