//! What one request of http-01 goes to, and what a redirect may make of it.

use certfleet_domain::DnsName;
use url::Url;

use crate::host::Host;

/// The longest `Location` that is looked at, in octets.
const MAX_LOCATION: usize = 2000;

/// How much of a URL is shown: room for the first one of every name.
const MAX_SHOWN: usize = 400;

/// The ports that may be connected to: where URLs that name none lead, and the only ones that they may name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) http: u16,
    pub(super) https: u16,
}

/// What one request goes to.
#[derive(Debug)]
pub(super) struct Target {
    /// The URL, without a fragment or credentials.
    pub(super) url: Url,
    /// Whom to connect to.
    pub(super) host: Host,
    /// The port to connect to, which the URL need not name.
    pub(super) port: u16,
}

impl Target {
    /// The file of a challenge. Its URL names no port, whatever port is configured (RFC 8555 §8.3).
    pub(super) fn first(host: Host, token: &str, ports: Ports) -> Result<Self, String> {
        let url = format!("http://{host}/.well-known/acme-challenge/{token}");
        let url = Url::parse(&url).map_err(|error| format!("{url} is not a URL: {error}"))?;
        let port = ports.http;
        Ok(Self { url, host, port })
    }

    /// Where a `Location` leads from here, or why it is not followed.
    pub(super) fn redirected(&self, location: &[u8], ports: Ports) -> Result<Self, String> {
        if location.len() > MAX_LOCATION {
            return Err(format!("that is longer than {MAX_LOCATION} octets"));
        }
        let location = str::from_utf8(location).map_err(|_| "that is not UTF-8")?;
        let mut url = self
            .url
            .join(location)
            .map_err(|error| format!("that is not a URL: {error}"))?;
        url.set_fragment(None);
        let default_port = match url.scheme() {
            "http" => ports.http,
            "https" => ports.https,
            _ => return Err("only http and https are followed".to_owned()),
        };
        // No credentials are sent for anyone. Neither call can fail for these schemes.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let host = match url.host() {
            Some(url::Host::Domain(name)) => Host::Name(
                name.parse::<DnsName>()
                    .map_err(|error| format!("its host cannot be used: {error}"))?,
            ),
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(address.into()),
            None => return Err("it has no host".to_owned()),
        };
        let port = url.port().unwrap_or(default_port);
        if port != ports.http && port != ports.https {
            return Err(format!(
                "only the ports {} and {} are connected to, not {port}",
                ports.http, ports.https
            ));
        }
        Ok(Self { url, host, port })
    }

    /// The URL as a problem shows it: cut where it is long, and plain ASCII as every URL.
    pub(super) fn shown(&self) -> String {
        let url = self.url.as_str();
        match url.get(..MAX_SHOWN) {
            Some(start) if url.len() > MAX_SHOWN => format!("{start}..."),
            _ => url.to_owned(),
        }
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The value of the `Host` header: as in the URL, with the port only if the URL names one.
    pub(super) fn host_header(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// The path and query, as they stand in the request line.
    pub(super) fn path_and_query(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PORTS: Ports = Ports {
        http: 80,
        https: 443,
    };

    fn first() -> Target {
        let host = Host::Name("a.example".parse().unwrap());
        Target::first(host, "token", PORTS).unwrap()
    }

    #[test]
    fn redirects_within_the_rules_are_followed() {
        for (location, url, port, header) in [
            ("/x", "http://a.example/x", 80, "a.example"),
            (
                "y?q=1#z",
                "http://a.example/.well-known/acme-challenge/y?q=1",
                80,
                "a.example",
            ),
            ("//b.example", "http://b.example/", 80, "b.example"),
            ("https://B.example/", "https://b.example/", 443, "b.example"),
            (
                "https://u:p@b.example/",
                "https://b.example/",
                443,
                "b.example",
            ),
            (
                "http://b.example:443/",
                "http://b.example:443/",
                443,
                "b.example:443",
            ),
            ("http://b.example:80/", "http://b.example/", 80, "b.example"),
            (
                "http://bücher.example/",
                "http://xn--bcher-kva.example/",
                80,
                "xn--bcher-kva.example",
            ),
            (
                "http://[2001:db8::1]/",
                "http://[2001:db8::1]/",
                80,
                "[2001:db8::1]",
            ),
        ] {
            let next = first()
                .redirected(location.as_bytes(), PORTS)
                .expect(location);
            assert_eq!((next.url.as_str(), next.port), (url, port), "{location}");
            assert_eq!(next.host_header(), header, "{location}");
        }
    }

    #[test]
    fn other_redirects_are_not() {
        for (location, why) in [
            ("ftp://b.example/", "http and https"),
            ("file:///etc/passwd", "http and https"),
            ("javascript:alert(1)", "http and https"),
            ("http://b.example:8080/", "not 8080"),
            ("https://b.example:22/", "not 22"),
            ("http://b_c.example/", "cannot be used"),
            ("http://b.example./", "cannot be used"),
            ("http://", "not a URL"),
            ("http://a b/", "not a URL"),
        ] {
            let refused = first().redirected(location.as_bytes(), PORTS);
            let refused = refused.expect_err(location);
            assert!(refused.contains(why), "{location}: {refused}");
        }
        assert!(first().redirected(b"\xff\xfe", PORTS).is_err());
        assert!(
            first()
                .redirected(&[b'a'; MAX_LOCATION + 1], PORTS)
                .is_err()
        );
    }

    #[test]
    fn addresses_in_disguise_are_addresses() {
        for disguised in ["http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/"] {
            let next = first().redirected(disguised.as_bytes(), PORTS).unwrap();
            assert_eq!(
                next.host,
                Host::Address([127, 0, 0, 1].into()),
                "{disguised}"
            );
        }
    }

    #[test]
    fn an_unusual_port_stays_out_of_the_first_request() {
        let ports = Ports {
            http: 5002,
            https: 5001,
        };
        let host = Host::Address("2001:db8::1".parse().unwrap());
        let target = Target::first(host, "token", ports).unwrap();
        assert_eq!(target.port, 5002);
        assert_eq!(target.host_header(), "[2001:db8::1]");
        let next = target.redirected(b"https://a.example/", ports).unwrap();
        assert_eq!(
            (next.port, next.host_header()),
            (5001, "a.example".to_owned())
        );
    }

    proptest! {
        #[test]
        fn what_is_followed_keeps_to_the_rules(location in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            "(http|https|ftp)?(://|//|/|:)[a-z0-9.:@\\[\\]#?/\\\\-]{0,30}".prop_map(String::into_bytes),
        ]) {
            if let Ok(next) = first().redirected(&location, PORTS) {
                prop_assert!(next.port == 80 || next.port == 443);
                prop_assert!(matches!(next.url.scheme(), "http" | "https"));
                prop_assert!(next.url.username().is_empty() && next.url.password().is_none());
                prop_assert!(next.path_and_query().starts_with('/'));
            }
        }
    }
}
