//! A profile: what kind of certificate an authority issues under a name.

use serde::{Deserialize, Serialize};
use time::Duration;

use crate::clock::Timestamp;
use crate::names::ProfileName;

/// What the key of a certificate may be used for, in TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyUsage {
    /// id-kp-serverAuth.
    ServerAuth,
    /// id-kp-clientAuth.
    ClientAuth,
}

/// What kind of certificate an authority issues under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// What it is for, shown in the directory.
    pub description: String,
    /// How long a certificate is valid, in seconds.
    pub lifetime_seconds: i64,
    /// How far before its issuance a certificate's validity starts, in seconds: clients' clocks run late.
    pub backdate_seconds: i64,
    /// Extended key usages.
    pub key_usages: Vec<KeyUsage>,
}

impl Profile {
    /// The profile for ordinary use: 90 days.
    pub fn classic() -> Self {
        Self::server("classic", "Valid for 90 days", Duration::days(90))
    }

    /// The profile that needs no revocation: 160 hours.
    pub fn shortlived() -> Self {
        Self::server(
            "shortlived",
            "Valid for 160 hours; no revocation data",
            Duration::hours(160),
        )
    }

    fn server(name: &str, description: &str, lifetime: Duration) -> Self {
        #[expect(clippy::expect_used, reason = "called with the two literals above")]
        let name = name.parse().expect("a plain name");
        Self {
            name,
            description: description.to_owned(),
            lifetime_seconds: lifetime.whole_seconds(),
            backdate_seconds: Duration::hours(1).whole_seconds(),
            key_usages: vec![KeyUsage::ServerAuth],
        }
    }

    /// Start and end of validity of a certificate issued `now`, within what the order asked for.
    ///
    /// The profile's lifetime is the longest there is: an order may ask for less, never for more. The end is the last
    /// second that still counts (RFC 5280 §4.1.2.5), so that the lifetime is exact.
    pub fn validity(
        &self,
        now: Timestamp,
        not_before: Option<Timestamp>,
        not_after: Option<Timestamp>,
    ) -> (Timestamp, Timestamp) {
        let now = now.replace_millisecond(0).unwrap_or(now);
        let start =
            not_before.unwrap_or(now.saturating_sub(Duration::seconds(self.backdate_seconds)));
        let longest = start.saturating_add(Duration::seconds(self.lifetime_seconds - 1));
        (start, not_after.map_or(longest, |end| end.min(longest)))
    }
}
