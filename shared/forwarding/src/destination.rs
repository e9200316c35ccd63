//! Where entries go.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// Where entries go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Syslog over a stream.
    Syslog {
        /// A name or an address, without brackets.
        host: String,
        /// The port.
        port: u16,
        /// Over TLS (RFC 5425), or in clear (RFC 6587).
        tls: bool,
    },
    /// A URL that takes them by POST.
    Http(Url),
}

/// Text that names no destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
// Does not repeat it: there may be a password in it.
#[error(
    "not a receiver's URL: tls://siem.example.org:6514, tcp://127.0.0.1:601, https://siem.example.org/events or an http \
     one is due, without user, password or fragment"
)]
pub struct InvalidDestination;

impl FromStr for Destination {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        let url = Url::parse(text).map_err(|_| InvalidDestination)?;
        let named = url.username().is_empty() && url.password().is_none();
        if !named || url.fragment().is_some() || !url.has_host() {
            return Err(InvalidDestination);
        }
        let bare = matches!(url.path(), "" | "/") && url.query().is_none();
        match url.scheme() {
            "https" | "http" => Ok(Self::Http(url)),
            "tls" | "tcp" if bare => {
                // These schemes' hosts are not read as names are, by the standard of URLs.
                let host = match url.host().ok_or(InvalidDestination)? {
                    Host::Domain(name) => name.to_owned(),
                    Host::Ipv4(address) => address.to_string(),
                    Host::Ipv6(address) => address.to_string(),
                };
                let port = url.port().filter(|port| *port > 0);
                Ok(Self::Syslog {
                    host,
                    port: port.ok_or(InvalidDestination)?,
                    tls: url.scheme() == "tls",
                })
            }
            _ => Err(InvalidDestination),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syslog { host, port, tls } => {
                let scheme = if *tls { "tls" } else { "tcp" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
            // A token may stand in the query.
            Self::Http(url) => {
                let mut shown = url.clone();
                shown.set_query(None);
                shown.fmt(f)
            }
        }
    }
}

impl Destination {
    /// Whether the receiver says by itself that it has what was sent.
    pub fn answers(&self) -> bool {
        matches!(self, Self::Http(_))
    }

    /// Whether there is TLS in it.
    pub fn is_secure(&self) -> bool {
        match self {
            Self::Syslog { tls, .. } => *tls,
            Self::Http(url) => url.scheme() == "https",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_as_they_are_shown() {
        for text in [
            "tls://siem.example.org:6514",
            "tcp://127.0.0.1:601",
            "tls://[2001:db8::1]:6514",
            "https://siem.example.org/events",
            "http://127.0.0.1:8088/services/collector/raw",
        ] {
            let read: Destination = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
        let secret: Destination = "https://a.b/c?token=hunter2".parse().unwrap();
        assert_eq!(secret.to_string(), "https://a.b/c");
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "",
            "siem.example.org:6514",
            "tls://siem.example.org",
            "tls://siem.example.org:0",
            "tls://siem.example.org:6514/path",
            "tcp://a:1?x",
            "udp://a:514",
            "https://u:p@a.b/",
            "https://a.b/#x",
            "tls://:1",
        ] {
            assert_eq!(bad.parse::<Destination>(), Err(InvalidDestination), "{bad}");
        }
    }
}
