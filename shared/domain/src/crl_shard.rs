//! Which of an issuer's CRLs a certificate is listed in once it is revoked.

use std::fmt;
use std::str::FromStr;

use crate::certificate::Serial;

/// One of the [`CrlShard::COUNT`] lists that an issuer's revoked certificates are spread over by their serial numbers, so
/// that none grows large: a relying party fetches the one that the certificate names. Text form: the number, decimal.
///
/// The number of shards is for ever: certificates that are about name theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CrlShard(u8);

impl CrlShard {
    /// How many there are.
    pub const COUNT: u8 = 128;

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The shard of a serial number: its first seven random bits.
    pub fn of(serial: Serial) -> Self {
        Self(serial.octets()[1] >> 1)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// Its first and its last serial number.
    pub fn serials(self) -> (Serial, Serial) {
        let first = self.0 << 1;
        (Serial::filled(first, 0x00), Serial::filled(first | 1, 0xff))
    }
}

impl fmt::Display for CrlShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is no shard's number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no CRL has this number: 0 to {last} is due", last = CrlShard::COUNT - 1)]
pub struct NoSuchShard;

impl FromStr for CrlShard {
    type Err = NoSuchShard;

    /// In the one way that we write it: no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, NoSuchShard> {
        let number = text.parse().ok().filter(|number| *number < Self::COUNT);
        number
            .map(Self)
            .filter(|shard| shard.to_string() == text)
            .ok_or(NoSuchShard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRng;

    #[test]
    fn each_serial_number_has_the_shard_whose_range_holds_it() {
        let mut last = None;
        for shard in CrlShard::all() {
            let (first, end) = shard.serials();
            assert_eq!((CrlShard::of(first), CrlShard::of(end)), (shard, shard));
            assert!(first < end && last < Some(first), "{shard} overlaps");
            last = Some(end);
        }
        for _ in 0..1000 {
            let serial = Serial::generate(&mut SystemRng);
            let (first, end) = CrlShard::of(serial).serials();
            assert!((first..=end).contains(&serial));
            // In the database they are compared as text.
            let text = serial.to_string();
            assert!((first.to_string()..=end.to_string()).contains(&text));
        }
    }

    #[test]
    fn text_form_round_trips_and_is_strict() {
        for shard in CrlShard::all() {
            assert_eq!(shard.to_string().parse(), Ok(shard));
        }
        for bad in ["", "128", "256", "-1", "+1", "01", "1 ", "x"] {
            assert_eq!(bad.parse::<CrlShard>(), Err(NoSuchShard), "{bad:?}");
        }
    }
}
