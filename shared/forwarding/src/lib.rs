//! Sends entries of the audit trail to whoever collects such things: a SIEM.
//!
//! - A [`Format`] is how an entry is written: RFC 5424 with JSON, RFC 5424 with CEF, or JSON.
//! - A [`Destination`] is where it goes: syslog over TCP or TLS (RFC 6587, RFC 5425), or HTTP.
//! - A [`Forwarder`] delivers entries, and says that they arrived only when the receiver has shown that they did: an HTTP
//!   receiver by its answer; a syslog receiver, which never answers, by closing the connection in good order after it
//!   has read all of it.
//!
//! Nothing is kept here: who calls knows what has arrived.

mod cef;
#[cfg(test)]
mod delivery_tests;
mod destination;
mod forwarder;
mod glance;
mod http;
mod stream;
mod syslog;

pub use certfleet_outgoing::TrustError;
pub use destination::{Destination, InvalidDestination};
pub use forwarder::{Format, ForwardError, Forwarder, Settings, UnfitFormat};
