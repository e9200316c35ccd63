//! What was seen when control was proven: for the log and the record.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One request of an http-01 validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpHop {
    /// What was asked for.
    pub url: String,
    /// What the name resolved to, in the order of use.
    pub resolved: Vec<IpAddr>,
    /// What was connected to.
    pub address: SocketAddr,
    /// The HTTP status of the answer.
    pub status: u16,
}

/// What was seen when control was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The key authorization, served over HTTP.
    Http01 {
        /// The requests, redirects included: at least one, in order.
        hops: Vec<HttpHop>,
    },
    /// Its digest, in a TXT record.
    Dns01 {
        /// The name asked for.
        name: String,
        /// How many TXT records it had.
        records: usize,
    },
    /// Its digest, in a certificate.
    TlsAlpn01 {
        /// What the name resolved to, in the order of use.
        resolved: Vec<IpAddr>,
        /// What was connected to.
        address: SocketAddr,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http01 { hops } => {
                for (index, hop) in hops.iter().enumerate() {
                    let then = if index == 0 { "" } else { ", then " };
                    write!(f, "{then}{} at {} ({})", hop.url, hop.address, hop.status)?;
                }
                Ok(())
            }
            Self::Dns01 { name, records } => write!(f, "one of {records} TXT records of {name}"),
            Self::TlsAlpn01 { address, .. } => write!(f, "the certificate at {address}"),
        }
    }
}
