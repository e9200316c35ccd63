//! A certificate revocation list (RFC 5280 §5), signed.

use crate::clock::Timestamp;
use crate::crl_shard::CrlShard;
use crate::ids::IssuerId;

/// A CRL of an issuer's, for one shard of its certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crl {
    /// Who signed it.
    pub issuer: IssuerId,
    /// For which certificates it is.
    pub shard: CrlShard,
    /// Its number: 1 for the first of the shard, and one more with each (RFC 5280 §5.2.3).
    pub number: u32,
    /// From when on it speaks.
    pub this_update: Timestamp,
    /// When the next one is to be built, if no revocation comes before.
    pub renew_at: Timestamp,
    /// Until when relying parties may go by it.
    pub next_update: Timestamp,
    /// How many certificates it lists.
    pub listed: u32,
    /// The list itself, DER.
    pub der: Vec<u8>,
}
