//! Timestamps in RFC 3339, taken in any offset and kept in UTC to the millisecond, as the database keeps them.

use certfleet_domain::Timestamp;
use serde::{Deserializer, Serializer, de};
use time::UtcOffset;

/// For a member that may be absent; goes with `default` and `skip_serializing_if`.
pub(super) mod option {
    use super::{Deserializer, Serializer, Timestamp, in_utc};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(in super::super) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time::serde::rfc3339::option::serialize(at, serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        time::serde::rfc3339::option::deserialize(deserializer)?
            .map(in_utc)
            .transpose()
    }
}

/// For a member that has to be there.
pub(super) mod required {
    use super::{Deserializer, Serializer, Timestamp, in_utc};

    pub(in super::super) fn serialize<S: Serializer>(
        at: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time::serde::rfc3339::serialize(at, serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        in_utc(time::serde::rfc3339::deserialize(deserializer)?)
    }
}

/// An offset can move a moment out of the years that there are.
fn in_utc<E: de::Error>(at: Timestamp) -> Result<Timestamp, E> {
    at.checked_to_offset(UtcOffset::UTC)
        .and_then(|at| at.replace_millisecond(at.millisecond()).ok())
        .filter(|at| (0..=9999).contains(&at.year()))
        .ok_or_else(|| E::custom("the time is out of range"))
}
