//! An entry as it leaves the log: exported, or sent to whoever collects such things.

use std::fmt;

use crate::hash::Hash;

/// An entry of the log. Shown, it is one line of JSON: `{"number":0,"link":"<base64>","event":{...}}`. The event's octets
/// are those of the log: their leaf is SHA-256(0x00, event).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 0.
    pub number: u64,
    /// Its link of the chain.
    pub link: Hash,
    /// The event's line.
    pub event: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, link, event) = (self.number, self.link.to_base64(), &self.event);
        write!(
            f,
            "{{\"number\":{number},\"link\":\"{link}\",\"event\":{event}}}"
        )
    }
}
