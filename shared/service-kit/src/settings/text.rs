//! Values that have a text form of their own: durations, addresses, URLs.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

/// What reads from a setting's text. The error says what is due.
pub(crate) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

/// For `#[serde(deserialize_with)]`: one value.
pub(super) fn text<'de, D: Deserializer<'de>, T: FromText>(deserializer: D) -> Result<T, D::Error> {
    T::from_text(String::deserialize(deserializer)?.trim()).map_err(Error::custom)
}

/// For `#[serde(deserialize_with)]`: one value, or none.
pub(super) fn if_any<'de, D: Deserializer<'de>, T: FromText>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let read = |text: String| T::from_text(text.trim()).map_err(Error::custom);
    text.map(read).transpose()
}

/// For `#[serde(deserialize_with)]`: a list of values.
pub(super) fn list<'de, D: Deserializer<'de>, T: FromText>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items = Vec::<String>::deserialize(deserializer)?;
    items
        .iter()
        .map(|item| T::from_text(item.trim()).map_err(Error::custom))
        .collect()
}

/// A duration as settings have it, such as `1h30m`: for command lines.
///
/// # Errors
/// Says what is due.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    Duration::from_text(text)
}

/// For types whose own error says what is due.
pub(super) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// Numbers with units, the largest first: `1h30m`.
impl FromText for Duration {
    fn from_text(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a duration: one such as 500ms, 30s, 5m, 1h or 7d is due");
        let mut rest = text;
        let mut total = Self::ZERO;
        while !rest.is_empty() || text.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let milliseconds = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong()),
            };
            let number: u64 = number.parse().map_err(|_| wrong())?;
            total = number
                .checked_mul(milliseconds)
                .and_then(|milliseconds| total.checked_add(Self::from_millis(milliseconds)))
                .ok_or_else(wrong)?;
            rest = tail;
        }
        // Where a duration is later added to a date, there is an end to dates.
        if total > Self::from_secs(100 * 366 * 86_400) {
            return Err(format!("{text:?} is longer than a hundred years"));
        }
        Ok(total)
    }
}

impl FromText for SocketAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            format!("{text:?} is not an address with a port, such as 0.0.0.0:8443 or [::]:8443")
        })
    }
}

/// A DNS server: an address, with port 53 unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolver(pub SocketAddr);

impl FromText for Resolver {
    fn from_text(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(SocketAddr::new(address, 53)));
        }
        text.parse().map(Self).map_err(|_| {
            format!("{text:?} is not a DNS server's address, such as 192.0.2.53 or 192.0.2.53:5353")
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(
                Duration::from_text(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "30 s",
            "1w",
            "1s ",
            "99999999999999999999s",
            "4000000d",
        ] {
            assert!(Duration::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_resolver_has_port_53_by_default() {
        let of = |text| Resolver::from_text(text).map(|resolver| resolver.0.to_string());
        assert_eq!(of("192.0.2.1").as_deref(), Ok("192.0.2.1:53"));
        assert_eq!(of("::1").as_deref(), Ok("[::1]:53"));
        assert_eq!(of("[::1]:5353").as_deref(), Ok("[::1]:5353"));
        assert!(of("dns.example").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_duration_panic(text in ".{0,30}") {
            let _ = Duration::from_text(&text);
        }

        #[test]
        fn whole_seconds_read_back(seconds in 0_u64..3_000_000_000) {
            prop_assert_eq!(
                Duration::from_text(&format!("{seconds}s")),
                Ok(Duration::from_secs(seconds))
            );
        }
    }
}
