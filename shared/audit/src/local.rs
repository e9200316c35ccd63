//! The log that a process keeps for itself: its own acts, chained, one line each. A second witness beside the log in the
//! database, on a disk that nobody who can write to the database need reach.

use std::fmt;

use certfleet_domain::ServerId;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::hash::Hash;

/// What stands between the head of a line and its event.
const EVENT: &str = ",\"event\":";

/// An act in a process's own log. Shown, it is one line of JSON:
/// `{"server":"<id>","number":0,"link":"<base64>","event":{...}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEntry {
    /// Whose log it is.
    pub server: ServerId,
    /// Its number, from 0.
    pub number: u64,
    /// Its link of the chain, which begins with the server's id.
    pub link: Hash,
    /// The event's line.
    pub event: String,
}

/// The end of a process's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalChain {
    server: ServerId,
    next: u64,
    link: Hash,
}

/// Why a line is none of a process's own log, or not the next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// It is no entry.
    #[error("it is no entry of a local audit file")]
    Malformed,
    /// It is another server's.
    #[error("it is of server {found}, and not of {due}")]
    OtherServer {
        /// Whose it is.
        found: ServerId,
        /// Whose is due.
        due: ServerId,
    },
    /// It does not follow what is before it.
    #[error(
        "entry {number} does not follow the one before it: something was changed, taken out or put in"
    )]
    OutOfChain {
        /// Its number, as it says.
        number: u64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    server: ServerId,
    number: u64,
    link: String,
}

impl LocalEntry {
    /// Reads a line, without its end.
    ///
    /// # Errors
    /// [`LocalError::Malformed`], unless it is written as [`fmt::Display`] writes it.
    pub fn parse(line: &str) -> Result<Self, LocalError> {
        let (head, rest) = line.split_once(EVENT).ok_or(LocalError::Malformed)?;
        let event = rest.strip_suffix('}').ok_or(LocalError::Malformed)?;
        serde_json::from_str::<IgnoredAny>(event).map_err(|_| LocalError::Malformed)?;
        let head: Head =
            serde_json::from_str(&format!("{head}}}")).map_err(|_| LocalError::Malformed)?;
        let entry = Self {
            server: head.server,
            number: head.number,
            link: Hash::from_base64(&head.link).ok_or(LocalError::Malformed)?,
            event: event.to_owned(),
        };
        (entry.to_string() == line)
            .then_some(entry)
            .ok_or(LocalError::Malformed)
    }
}

impl fmt::Display for LocalEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (server, number, link) = (self.server, self.number, self.link.to_base64());
        let event = &self.event;
        write!(
            f,
            "{{\"server\":\"{server}\",\"number\":{number},\"link\":\"{link}\"{EVENT}{event}}}"
        )
    }
}

impl LocalChain {
    /// That of a log without entries.
    pub fn new(server: ServerId) -> Self {
        let start = Hash::leaf(server.to_string().as_bytes());
        Self {
            server,
            next: 0,
            link: Hash::link(Hash::ZERO, start),
        }
    }

    /// That of a log that ends with this entry. Nothing vouches for what is before it.
    pub fn behind(last: &LocalEntry) -> Self {
        Self {
            server: last.server,
            next: last.number + 1,
            link: last.link,
        }
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.next
    }

    /// The next entry.
    pub fn append(&mut self, event: &str) -> LocalEntry {
        self.link = Hash::link(self.link, Hash::leaf(event.as_bytes()));
        let number = self.next;
        self.next += 1;
        LocalEntry {
            server: self.server,
            number,
            link: self.link,
            event: event.to_owned(),
        }
    }

    /// Whether this is the next entry; if so, goes on behind it.
    ///
    /// # Errors
    /// It is another server's, or does not follow.
    pub fn follow(&mut self, entry: &LocalEntry) -> Result<(), LocalError> {
        if entry.server != self.server {
            return Err(LocalError::OtherServer {
                found: entry.server,
                due: self.server,
            });
        }
        let mut next = self.clone();
        if next.append(&entry.event) != *entry {
            return Err(LocalError::OutOfChain {
                number: entry.number,
            });
        }
        *self = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use certfleet_domain::{SystemClock, SystemRng};

    use super::*;

    fn log(server: ServerId, events: &[&str]) -> Vec<LocalEntry> {
        let mut chain = LocalChain::new(server);
        events.iter().map(|event| chain.append(event)).collect()
    }

    fn server() -> ServerId {
        ServerId::generate(&SystemClock, &mut SystemRng)
    }

    fn verify(server: ServerId, entries: &[LocalEntry]) -> Result<(), LocalError> {
        let mut chain = LocalChain::new(server);
        entries.iter().try_for_each(|entry| chain.follow(entry))
    }

    #[test]
    fn lines_round_trip_and_are_strict() {
        for entry in log(server(), &["{\"a\":1}", "{\"b\":\",\\\"event\\\":\"}"]) {
            let line = entry.to_string();
            assert_eq!(LocalEntry::parse(&line), Ok(entry));
            for bad in [
                &line[1..],
                &line[..line.len() - 1],
                "",
                "{}",
                &format!(" {line}"),
            ] {
                assert_eq!(LocalEntry::parse(bad), Err(LocalError::Malformed), "{bad}");
            }
        }
    }

    #[test]
    fn whatever_is_done_to_a_log_is_found_but_a_cut_tail() {
        let server = server();
        let whole = log(server, &["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]);
        assert_eq!(verify(server, &whole), Ok(()));
        let mut edited = whole.clone();
        edited[1].event = "{\"a\":9}".to_owned();
        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        let mut missing = whole.clone();
        missing.remove(1);
        for (bent, number) in [(edited, 1), (swapped, 2), (missing, 2)] {
            assert_eq!(
                verify(server, &bent),
                Err(LocalError::OutOfChain { number })
            );
        }
        let other = self::server();
        let error = LocalError::OtherServer {
            found: server,
            due: other,
        };
        assert_eq!(verify(other, &whole), Err(error));
        assert_eq!(verify(server, &whole[..2]), Ok(()));
    }
}
