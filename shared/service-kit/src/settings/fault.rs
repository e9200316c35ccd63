//! What is wrong with the settings, in words for the person who wrote them.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong. Its text is one line that begins with the setting's full name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A required setting is not there.
    Missing {
        /// Its section.
        section: &'static str,
        /// Its key.
        key: String,
    },
    /// Anything else.
    Wrong(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { section, key } => write!(
                f,
                "{section}.{key} is required: set it in the file, or {}",
                variable(section, key)
            ),
            Self::Wrong(text) => f.write_str(text),
        }
    }
}

/// The name of a setting's environment variable.
pub(super) fn variable(section: &str, key: &str) -> String {
    format!("CERTFLEET_{section}_{key}").to_uppercase()
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File(PathBuf),
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// All that is wrong with the settings, one line each; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct SettingsError(pub Vec<Fault>);

fn lines(faults: &[Fault]) -> String {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
