//! Which mail server, and how it is spoken to.

use std::str::FromStr;

use serde::Deserialize;
use url::Url;

use super::text::{FromText, text};

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first octet (RFC 8314).
    Tls,
    /// TLS after STARTTLS, or nothing is said (RFC 3207).
    StartTls,
    /// In plain text: to a relay on the same host.
    Plain,
}

/// A mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub security: SmtpSecurity,
    /// Who signs in there, if anybody does.
    pub user: Option<String>,
}

impl<'de> Deserialize<'de> for SmtpServer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl FromText for SmtpServer {
    fn from_text(text: &str) -> Result<Self, String> {
        // Not repeated: somebody may have put a password into it.
        text.parse()
            .map_err(|error: InvalidServer| error.to_string())
    }
}

/// Text that is no mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "smtps://[user@]host[:465], smtp://[user@]host[:587] (STARTTLS) or smtp+plain://host[:25] is due, without a password"
)]
pub struct InvalidServer;

impl FromStr for SmtpServer {
    type Err = InvalidServer;

    fn from_str(text: &str) -> Result<Self, InvalidServer> {
        let url = Url::parse(text).map_err(|_| InvalidServer)?;
        let (security, port) = match url.scheme() {
            "smtps" => (SmtpSecurity::Tls, 465),
            "smtp" => (SmtpSecurity::StartTls, 587),
            "smtp+plain" => (SmtpSecurity::Plain, 25),
            _ => return Err(InvalidServer),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let user = Some(url.username()).filter(|user| !user.is_empty());
        // Nothing that is secret goes in clear.
        if !bare || url.password().is_some() || (user.is_some() && security == SmtpSecurity::Plain)
        {
            return Err(InvalidServer);
        }
        let user = user.map(|user| user.replace("%40", "@"));
        Ok(Self {
            host: host
                .ok_or(InvalidServer)?
                .trim_matches(['[', ']'])
                .to_owned(),
            port: url.port().unwrap_or(port),
            security,
            user,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_what_would_say_a_secret_in_clear_is_refused() {
        let read = |text: &str| {
            let server: SmtpServer = text.parse().unwrap();
            (server.host, server.port, server.security, server.user)
        };
        let host = || "mail.example.org".to_owned();
        assert_eq!(
            read("smtps://mail.example.org"),
            (host(), 465, SmtpSecurity::Tls, None)
        );
        let user = Some("pki@example.org".to_owned());
        assert_eq!(
            read("smtp://pki%40example.org@mail.example.org"),
            (host(), 587, SmtpSecurity::StartTls, user)
        );
        assert_eq!(
            read("smtp+plain://mail.example.org:2525/"),
            (host(), 2525, SmtpSecurity::Plain, None)
        );
        for bad in [
            "mail.example.org",
            "https://mail.example.org",
            "smtp://user:secret@mail.example.org",
            "smtp+plain://user@mail.example.org",
            "smtps://mail.example.org/path",
            "smtps://",
        ] {
            assert_eq!(bad.parse::<SmtpServer>(), Err(InvalidServer), "{bad}");
        }
    }
}
