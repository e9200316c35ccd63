//! Nonces (RFC 8555 §6.5) that any replica mints and checks alone, and that one database write spends.
//!
//! A nonce is 36 octets, 48 characters of base64url:
//!
//! ```text
//! key id (1) | minted at, Unix seconds (5) | random (14) | HMAC-SHA256 of these, truncated (16)
//! ```
//!
//! The HMAC's key is the same in the whole cluster, so minting asks nobody, and neither does finding that a nonce is
//! forged or too old: such a nonce never costs a database write. [`NonceKeys::open`] gives a [`SpendableNonce`],
//! whose id is then inserted under a unique index. The insert succeeds once, whichever replicas it is tried on, and
//! the record may be forgotten at [`SpendableNonce::expires_at`], when no replica takes the nonce any more.
//!
//! **Clocks.** Any two clocks of the cluster may differ by [`CLOCK_TOLERANCE`]: a nonce minted that far in the future
//! is taken, and its record is kept that much longer.
//!
//! **Rotation.** A nonce names its key. Give the new key to every replica as one to accept, then make it the current
//! one everywhere, then, a lifetime later, drop the old one; no nonce is lost on the way. A nonce of a key that is
//! not there is forged, as far as anyone can tell, and its client tries again with a fresh one.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use certfleet_domain::{Problem, ProblemKind, Timestamp};
use rand::RngCore;
use time::Duration;

use crate::base64url;

#[cfg(test)]
mod tests;

/// How far two clocks of the cluster may be apart.
pub const CLOCK_TOLERANCE: Duration = Duration::minutes(5);

/// How many octets the id of a nonce has.
pub const NONCE_ID_LEN: usize = TIME_LEN + RANDOM_LEN;

const TIME_LEN: usize = 5;
const RANDOM_LEN: usize = 14;
const MAC_LEN: usize = 16;
/// Where the MAC begins.
const MAC_AT: usize = 1 + NONCE_ID_LEN;
const LEN: usize = MAC_AT + MAC_LEN;

/// What the key is used for, so that no other use of the same key can be taken for a nonce.
const CONTEXT: &[u8] = b"certfleet nonce v1";

/// Why a nonce is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// It has not the form of a nonce of ours.
    #[error("the nonce is not one of this server's: take a fresh one and try again")]
    Malformed,
    /// It has the form, but was not minted here.
    #[error("the nonce was not issued by this server: take a fresh one and try again")]
    Forged,
    /// It is too old.
    #[error("the nonce has expired: take a fresh one and try again")]
    Expired,
    /// It was minted further in the future than clocks may differ.
    #[error("the nonce is not valid yet: take a fresh one and try again")]
    Ahead,
}

impl NonceError {
    /// The problem to tell the client: always `badNonce`, with which clients try again by themselves.
    pub fn problem(self) -> Problem {
        Problem::new(ProblemKind::BadNonce, self.to_string())
    }
}

/// Two keys have the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two nonce keys have the id {0}")]
pub struct DuplicateNonceKey(u8);

/// A key that nonces are minted with, the same on every replica.
#[derive(Clone)]
pub struct NonceKey {
    id: u8,
    // Wiped when it is dropped, by the library.
    key: hmac::Key,
}

impl NonceKey {
    /// The key of this id: 32 random octets that serve no other purpose. Wiping those is up to their owner.
    pub fn new(id: u8, secret: &[u8; 32]) -> Self {
        Self {
            id,
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    fn mac(&self, message: &[u8]) -> [u8; MAC_LEN] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(CONTEXT);
        context.update(message);
        let tag = context.sign();
        let mut mac = [0; MAC_LEN];
        mac.copy_from_slice(&tag.as_ref()[..MAC_LEN]);
        mac
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceKey({})", self.id)
    }
}

/// A nonce that was minted here and is not too old. Whether it was spent before, the database knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpendableNonce {
    id: [u8; NONCE_ID_LEN],
    expires_at: Timestamp,
}

impl SpendableNonce {
    /// What is inserted under a unique index to spend it. It begins with the time, so that ids made together lie
    /// together in the index.
    pub fn id(&self) -> &[u8; NONCE_ID_LEN] {
        &self.id
    }

    /// When the record that it was spent may be forgotten, and not before: on every clock of the cluster it is then
    /// too old.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// The keys of a cluster: the one to mint with, and others whose nonces are taken.
#[derive(Debug, Clone)]
pub struct NonceKeys {
    current: NonceKey,
    accepted: Vec<NonceKey>,
}

impl NonceKeys {
    /// Mints with `current`; takes nonces of that and of `accepted`: the previous key, or the next.
    pub fn new(current: NonceKey, accepted: Vec<NonceKey>) -> Result<Self, DuplicateNonceKey> {
        let mut seen = vec![current.id];
        for key in &accepted {
            if seen.contains(&key.id) {
                return Err(DuplicateNonceKey(key.id));
            }
            seen.push(key.id);
        }
        Ok(Self { current, accepted })
    }

    /// A fresh nonce.
    pub fn mint(&self, now: Timestamp, rng: &mut dyn RngCore) -> String {
        let mut octets = [0; LEN];
        let (content, mac) = octets.split_at_mut(MAC_AT);
        let (id, rest) = content.split_at_mut(1);
        let (minted_at, random) = rest.split_at_mut(TIME_LEN);
        id[0] = self.current.id;
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
        // 40 bits last for 34,000 years.
        minted_at.copy_from_slice(&seconds.to_be_bytes()[8 - TIME_LEN..]);
        rng.fill_bytes(random);
        mac.copy_from_slice(&self.current.mac(content));
        base64url::encode(octets)
    }

    /// The nonce of this text, if it was minted here less than `lifetime` ago.
    pub fn open(
        &self,
        text: &str,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<SpendableNonce, NonceError> {
        let octets: [u8; LEN] = base64url::decode(text)
            .ok()
            .and_then(|octets| octets.try_into().ok())
            .ok_or(NonceError::Malformed)?;
        let (content, mac) = octets.split_at(MAC_AT);
        let key = std::iter::once(&self.current)
            .chain(&self.accepted)
            .find(|key| key.id == content[0])
            .ok_or(NonceError::Forged)?;
        verify_slices_are_equal(&key.mac(content), mac).map_err(|_| NonceError::Forged)?;

        let mut id = [0; NONCE_ID_LEN];
        id.copy_from_slice(&content[1..]);
        let minted_at = minted_at(&id).ok_or(NonceError::Ahead)?;
        if minted_at - now > CLOCK_TOLERANCE {
            return Err(NonceError::Ahead);
        }
        if now - minted_at >= lifetime {
            return Err(NonceError::Expired);
        }
        // Clocks slower than ours take it for a while after.
        let kept = lifetime.saturating_add(CLOCK_TOLERANCE);
        let expires_at = minted_at.saturating_add(kept);
        Ok(SpendableNonce { id, expires_at })
    }
}

fn minted_at(id: &[u8; NONCE_ID_LEN]) -> Option<Timestamp> {
    let mut seconds = [0; 8];
    seconds[8 - TIME_LEN..].copy_from_slice(&id[..TIME_LEN]);
    let seconds = i64::try_from(u64::from_be_bytes(seconds)).ok()?;
    Timestamp::from_unix_timestamp(seconds).ok()
}
