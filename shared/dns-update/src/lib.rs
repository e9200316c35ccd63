//! Changes a zone's TXT records by dynamic updates (RFC 2136), signed by a key that the zone's server knows (TSIG, RFC 8945).
//!
//! A change is what is to be there and what is not, of any number of names: one update, which the server carries out whole or not
//! at all. Sent twice, it changes nothing. What a server answers is believed only if it is signed as well.

mod exchange;
mod update;

use std::net::SocketAddr;
use std::time::Duration;

use certfleet_domain::TsigAlgorithm;
use zeroize::Zeroizing;

/// Where and how a zone is changed.
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its primary server.
    pub server: SocketAddr,
    /// What the updates are signed with.
    pub key: TsigKey,
}

/// A key that a server knows by its name.
pub struct TsigKey {
    /// Its name.
    pub name: String,
    /// Its algorithm.
    pub algorithm: TsigAlgorithm,
    /// The secret.
    pub secret: Zeroizing<Vec<u8>>,
}

/// A TXT record with one text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Txt {
    /// Its whole name.
    pub name: String,
    /// The text; up to 255 octets.
    pub text: String,
}

/// What is to be there, and what is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// To be there.
    pub add: Vec<Txt>,
    /// Not to be there.
    pub remove: Vec<Txt>,
}

/// Why a zone was not changed, or not looked at.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The server is not reached, or breaks off.
    #[error("{server}: {why}")]
    Away {
        /// Which.
        server: SocketAddr,
        /// Why.
        why: String,
    },
    /// The server refuses.
    #[error("{server} refuses: {code}")]
    Refused {
        /// Which.
        server: SocketAddr,
        /// Its response code (RFC 2136 §2.2).
        code: String,
    },
    /// What is asked for is none of DNS, or not in the zone.
    #[error("{0}")]
    Wrong(String),
}

/// How long a server may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long resolvers may keep a record, in seconds.
const TTL: u32 = 30;
/// The largest update, in octets, which leaves room for its signature; more is sent as several.
const LARGEST: usize = 65_000;

impl Zone {
    /// Has the zone be as the change says.
    ///
    /// # Errors
    /// The server is away or refuses; then none of it, or only the first of several updates, was done.
    pub async fn apply(&self, change: &Change, now: u64) -> Result<(), UpdateError> {
        for update in update::updates(self, change)? {
            exchange::update(self, update, now).await?;
        }
        Ok(())
    }

    /// The texts that a server has under this name now.
    ///
    /// # Errors
    /// The server is away or refuses.
    pub async fn texts(server: SocketAddr, name: &str) -> Result<Vec<String>, UpdateError> {
        exchange::texts(server, name).await
    }
}
