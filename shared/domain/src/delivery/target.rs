//! A place that certificates are delivered to: files on a host, and what is to be done when they have changed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identifier::{DnsName, Identifier};
use crate::names::{AgentName, CommandName, ProjectName, TargetName};

/// Stands in a path for the name of the certificate.
const NAME: &str = "{name}";
/// The longest path.
const LONGEST: usize = 1024;

/// A place that certificates are delivered to. What the host's agent does not allow, it does not do, whatever stands here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// Whose it is.
    pub project: ProjectName,
    /// On whose host.
    pub agent: AgentName,
    /// What is written there; at least one.
    pub files: Vec<TargetFile>,
    /// What is run once when files have changed: a command that the agent knows by this name.
    pub reload: Option<CommandName>,
    /// Where the host serves the certificate, as the agent sees it: it has to be shown there afterwards.
    pub probe: Option<Endpoint>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Grows by one with each write.
    pub version: i64,
}

/// A file of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetFile {
    /// Where it lies.
    pub path: PathPattern,
    /// What is in it.
    pub content: FileContent,
    /// Its permission bits.
    pub mode: u32,
    /// Whose it is, `user` or `user:group`; without it, the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileContent {
    /// The chain, PEM: the certificate first.
    Chain,
    /// The private key, PKCS#8 in PEM.
    Key,
    /// The chain, and the key behind it.
    ChainAndKey,
}

impl FileContent {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Key => "key",
            Self::ChainAndKey => "chainAndKey",
        }
    }

    /// The permission bits that a file with this has, if nobody says otherwise: nobody but its owner reads a key.
    pub fn usual_mode(self) -> u32 {
        match self {
            Self::Chain => 0o644,
            Self::Key | Self::ChainAndKey => 0o600,
        }
    }
}

/// What is no part of a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} {why}")]
pub struct InvalidTarget {
    value: String,
    why: &'static str,
}

fn refuse(value: &str, why: &'static str) -> InvalidTarget {
    InvalidTarget {
        value: value.chars().take(200).collect(),
        why,
    }
}

/// Where a file lies: an absolute path, in whose last part `{name}` stands for the certificate's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(String);

impl PathPattern {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether each certificate has a file of its own.
    pub fn has_name(&self) -> bool {
        self.0.contains(NAME)
    }

    /// The path for the certificate of this name.
    pub fn path(&self, slot: &Slot) -> String {
        self.0.replace(NAME, slot.as_str())
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PathPattern {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let plain = text.replacen(NAME, "x", 1);
        let Some(below) = plain.strip_prefix('/') else {
            return Err(refuse(text, "is no absolute path"));
        };
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(refuse(
                text,
                "is longer than 1024 octets, or has control characters",
            ));
        }
        if below.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(refuse(text, "has a part that is empty, . or .."));
        }
        if plain.contains(['{', '}']) {
            return Err(refuse(
                text,
                "has braces that are not {name}, which may stand there once",
            ));
        }
        if text
            .rsplit_once('/')
            .is_some_and(|(directory, _)| directory.contains(NAME))
        {
            return Err(refuse(text, "has {name} before its last part"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for PathPattern {
    type Error = InvalidTarget;

    fn try_from(text: String) -> Result<Self, InvalidTarget> {
        text.parse()
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.0
    }
}

/// What a certificate is called in the paths of a target: one of its names, as a file's name can have it. `*` and `:` become `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(String);

impl Slot {
    /// That of a certificate that is called by this name of its.
    pub fn of(name: &Identifier) -> Self {
        Self(name.to_string().replace(['*', ':'], "_"))
    }

    /// The only one, where a target has room for one certificate.
    pub fn only() -> Self {
        Self(String::new())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where something listens: a name or an address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// The name or the address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Endpoint {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let wrong = || {
            refuse(
                text,
                "is no HOST:PORT, such as www.example.org:443 or [2001:db8::1]:443",
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(wrong)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(address) => {
                let address: std::net::Ipv6Addr = address.parse().map_err(|_| wrong())?;
                address.to_string()
            }
            None => match host.parse::<std::net::Ipv4Addr>() {
                Ok(address) => address.to_string(),
                // A name alone, such as localhost, is one too.
                Err(_) => host.parse::<DnsName>().map_err(|_| wrong())?.to_string(),
            },
        };
        Ok(Self { host, port })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = InvalidTarget;

    fn try_from(text: String) -> Result<Self, InvalidTarget> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl Target {
    /// What the certificate that is called by this name of its is called here.
    pub fn slot(&self, name: &Identifier) -> Slot {
        if self.files.iter().all(|file| file.path.has_name()) {
            Slot::of(name)
        } else {
            Slot::only()
        }
    }
}
