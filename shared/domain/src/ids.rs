//! Ids as types: an order's id cannot be passed where an account's is due.
//!
//! Each is a version 7 UUID (RFC 9562 §5.7), so that ids made together lie together in an index, with
//! 74 random bits, so that one cannot be guessed from another. Text form: 32 lower-case hex digits.

use std::fmt;
use std::str::FromStr;

use rand::RngCore;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Clock;

/// Text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {expected} id: 32 hexadecimal digits are due")]
pub struct InvalidId {
    expected: &'static str,
}

fn generate(clock: &dyn Clock, rng: &mut dyn RngCore) -> Uuid {
    let mut random = [0; 10];
    rng.fill_bytes(&mut random);
    let milliseconds = clock.now().unix_timestamp_nanos() / 1_000_000;
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(milliseconds).unwrap_or(0), &random)
        .into_uuid()
}

fn parse(text: &str, expected: &'static str) -> Result<Uuid, InvalidId> {
    let canonical =
        text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !canonical {
        return Err(InvalidId { expected });
    }
    Uuid::try_parse(text).map_err(|_| InvalidId { expected })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// A new id of this moment.
            pub fn generate(clock: &dyn Clock, rng: &mut dyn RngCore) -> Self {
                Self(generate(clock, rng))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_simple().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_simple())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text, $expected).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

id!(
    /// A key that binds accounts (RFC 8555 §7.3.4); in the protocol, its `kid`.
    EabKeyId,
    "the key of an external account binding's"
);
id!(
    /// A managed certificate: what the fleet is to have, through all its renewals.
    ManagedId,
    "a managed certificate's"
);
id!(
    /// One certificate of those that a managed one has had.
    VersionId,
    "a certificate version's"
);
id!(
    /// A place where a managed certificate should be served.
    WatchId,
    "a watch's"
);
id!(
    /// A managed certificate at a target.
    PlacementId,
    "a placement's"
);
id!(
    /// A place that is looked at for what it serves.
    DiscoveryId,
    "a discovery's"
);
id!(
    /// A token of the REST API.
    TokenId,
    "a token"
);
id!(
    /// An ACME account.
    AccountId,
    "an account"
);
id!(
    /// An ACME order.
    OrderId,
    "an order"
);
id!(
    /// An ACME authorization.
    AuthorizationId,
    "an authorization"
);
id!(
    /// A challenge within an authorization.
    ChallengeId,
    "a challenge"
);
id!(
    /// A certificate, from the moment it is intended.
    CertificateId,
    "a certificate"
);
id!(
    /// A key and certificate that sign for an authority.
    IssuerId,
    "an issuer"
);
id!(
    /// One process's claim on one job; new with every claim.
    LeaseToken,
    "a lease"
);
id!(
    /// A certfleet process, kept across its restarts.
    ServerId,
    "a server"
);
id!(
    /// An event of the audit trail.
    EventId,
    "an event"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemClock, SystemRng};

    #[test]
    fn text_form_round_trips_and_is_strict() {
        let id = OrderId::generate(&SystemClock, &mut SystemRng);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "x",
            &id.to_string().to_uppercase(),
            &format!("{id}0"),
            "0000-0000",
        ] {
            assert!(
                bad.parse::<OrderId>().is_err(),
                "{bad:?} was taken for an id"
            );
        }
    }
}
