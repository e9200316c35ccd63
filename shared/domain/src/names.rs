//! Short names: what people call authorities, profiles, agents and targets, in URLs, settings and on the command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text that is not a short name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{value:?} is not {expected} name: 1 to 32 lower-case letters, digits and inner hyphens are due"
)]
pub struct InvalidName {
    value: String,
    expected: &'static str,
}

fn check(text: &str, expected: &'static str) -> Result<(), InvalidName> {
    let plain = text
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if (1..=32).contains(&text.len()) && plain && !text.starts_with('-') && !text.ends_with('-') {
        Ok(())
    } else {
        Err(InvalidName {
            value: text.chars().take(64).collect(),
            expected,
        })
    }
}

macro_rules! short_name {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check(text, $expected)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

short_name!(
    /// The name of a project.
    ProjectName,
    "a project"
);
short_name!(
    /// The name of an authority, as it stands in its directory's URL.
    AuthorityName,
    "an authority"
);
short_name!(
    /// The name by which a fleet knows an authority that it has certificates from.
    UpstreamName,
    "an upstream authority"
);
short_name!(
    /// The name of a profile, as clients ask for it.
    ProfileName,
    "a profile"
);
short_name!(
    /// The name by which a fleet knows a zone that it may change.
    SolverName,
    "a solver"
);
short_name!(
    /// The name of a host's agent.
    AgentName,
    "an agent"
);
short_name!(
    /// The name of a place that certificates are delivered to.
    TargetName,
    "a target"
);
short_name!(
    /// The name that a host's owner has given to a command, in the agent's own settings.
    CommandName,
    "a command"
);
