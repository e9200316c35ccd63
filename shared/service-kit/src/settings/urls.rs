//! URLs in settings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use url::Url;

use super::secret_text::SecretText;
use super::text::{FromText, text};

/// The URL under which clients reach the API: a scheme and a host, with no path of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ExternalUrl(#[serde(deserialize_with = "text")] Origin);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin(String);

impl FromText for Origin {
    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not an https or http URL without a path, such as https://acme.example.org"
            )
        };
        let url = Url::parse(text).map_err(|_| wrong())?;
        let plain = matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !plain {
            return Err(wrong());
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl ExternalUrl {
    /// Reads one, as a setting is read.
    pub fn parse(text: &str) -> Result<Self, String> {
        Origin::from_text(text).map(Self)
    }

    /// Where a pod finds the API server of its own cluster.
    pub(super) fn kubernetes() -> Self {
        Self(Origin("https://kubernetes.default.svc".to_owned()))
    }

    /// The URL without a slash at its end: `https://acme.example.org`.
    pub fn as_str(&self) -> &str {
        &self.0.0
    }

    /// Its host: a name, or an address without brackets.
    pub fn host(&self) -> String {
        let url = Url::parse(self.as_str()).ok();
        let host = url.as_ref().and_then(Url::host);
        host.map_or_else(String::new, |host| {
            let text = host.to_string();
            text.trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned()
        })
    }

    /// The URL of a path, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0.0)
    }
}

impl fmt::Display for ExternalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A page for people: any https or http URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUrl(String);

impl WebUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for WebUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl FromStr for WebUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_text(text)
    }
}

impl FromText for WebUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "https" | "http") => Ok(Self(url.into())),
            _ => Err(format!(
                "{text:?} is not an https or http URL, such as https://example.org/terms"
            )),
        }
    }
}

/// A connection string of the database. It may hold a password: shown, it keeps only the hosts.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoUri(SecretText);

impl MongoUri {
    /// Reads one, as a setting is read. The error does not repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hosts = hosts(text).unwrap_or_default();
        if hosts.is_empty() {
            return Err(
                "not a MongoDB connection string: mongodb://host:27017/?replicaSet=name is due"
                    .to_owned(),
            );
        }
        if let Some(host) = hosts.split(',').find(|host| !has_fit_port(host)) {
            return Err(format!("{host:?}: a port from 1 to 65535 is due"));
        }
        Ok(Self(SecretText::new(text.to_owned())))
    }

    /// The whole connection string, for the driver.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Whether the port is one, where there is one; an IPv6 address stands in brackets.
fn has_fit_port(host: &str) -> bool {
    let after_address = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    match after_address.split_once(':') {
        None => true,
        Some((_, port)) => port.parse().is_ok_and(|port: u16| port > 0),
    }
}

/// What stands between the user's name and password and the path. Cut at the last `@` of all, so that
/// a password with forbidden characters in it is cut off as well.
fn hosts(text: &str) -> Option<&str> {
    let rest = text
        .strip_prefix("mongodb://")
        .or_else(|| text.strip_prefix("mongodb+srv://"))?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
    rest.split(['/', '?']).next()
}

impl<'de> Deserialize<'de> for MongoUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl FromText for MongoUri {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl fmt::Display for MongoUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mongodb://{}", hosts(self.expose()).unwrap_or_default())
    }
}

impl fmt::Debug for MongoUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MongoUri({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_url_has_no_path() {
        for (text, due) in [
            ("https://acme.example.org", "https://acme.example.org"),
            ("https://ACME.example.org/", "https://acme.example.org"),
            ("http://127.0.0.1:14000", "http://127.0.0.1:14000"),
            ("https://[::1]:8443/", "https://[::1]:8443"),
        ] {
            assert_eq!(ExternalUrl::parse(text).unwrap().as_str(), due);
        }
        for bad in [
            "",
            "acme.example.org",
            "ftp://a.b",
            "https://a.b/acme",
            "https://a.b/?x",
            "https://a.b/#x",
            "https://u:p@a.b",
            "https://",
        ] {
            assert!(ExternalUrl::parse(bad).is_err(), "{bad}");
        }
        let url = ExternalUrl::parse("https://a.b").unwrap();
        assert_eq!(url.join("/acme/x"), "https://a.b/acme/x");
    }

    #[test]
    fn a_connection_string_has_ports_that_are_some() {
        for good in [
            "mongodb://a,b:2",
            "mongodb://[::1]:3/?x=y:z",
            "mongodb://[::1]",
        ] {
            assert!(MongoUri::parse(good).is_ok(), "{good}");
        }
        for bad in ["a:99999999", "a:1,b:0", "a:b", "[::1]:x"] {
            let error = MongoUri::parse(&format!("mongodb://u:hunter2@{bad}/")).unwrap_err();
            assert!(error.contains("a port from 1 to 65535"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_connection_string_never_shows_its_password() {
        for (text, shown) in [
            ("mongodb://a:1,b:2/?replicaSet=rs", "mongodb://a:1,b:2"),
            ("mongodb://u:hunter2@a:1/db?x=hunter2", "mongodb://a:1"),
            (
                "mongodb+srv://u:hun/ter2@a.b/?authMechanismProperties=AWS:hunter2",
                "mongodb://a.b",
            ),
            ("mongodb://u:hunter2@x@a", "mongodb://a"),
        ] {
            let uri = MongoUri::parse(text).unwrap();
            assert_eq!(uri.to_string(), shown);
            assert_eq!(uri.expose(), text);
            assert!(!format!("{uri:?}").contains("ter2"));
        }
        for bad in [
            "",
            "hunter2",
            "http://hunter2",
            "mongodb://",
            "mongodb://u:hunter2@",
        ] {
            let error = MongoUri::parse(bad).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
