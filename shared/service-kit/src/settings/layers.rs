//! The values that were given, before they have types: environment over file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use super::fault::{Fault, Origin, SettingsError};
use super::text::FromText;
use super::{environment, file};

/// The sections there are.
pub(super) const SECTIONS: [&str; 21] = [
    "acme",
    "adapter",
    "agents",
    "audit",
    "database",
    "kek",
    "limits",
    "log",
    "management",
    "notices",
    "pkcs11",
    "rest",
    "revocation",
    "scheduler",
    "server",
    "siem",
    "state",
    "telemetry",
    "tls",
    "validation",
    "worker",
];

/// Where settings are read from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The YAML file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
}

impl Source {
    /// The environment of this process over an optional file.
    pub fn of_process(file: Option<PathBuf>) -> Result<Self, SettingsError> {
        Self::new(file, std::env::vars_os())
    }

    fn new(
        file: Option<PathBuf>,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let mut environment = BTreeMap::new();
        for (name, value) in variables {
            // Only a name that is text can be one of ours, or be named in the file.
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => {
                    environment.insert(name, value);
                }
                Err(_) if name.starts_with("CERTFLEET_") => {
                    return Err(SettingsError(vec![Fault::Wrong(format!(
                        "{name} is not valid UTF-8"
                    ))]));
                }
                Err(_) => {}
            }
        }
        Ok(Self { file, environment })
    }
}

/// A value as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    /// The key is there without a value, which leaves its default.
    Unset,
    Text(String),
    List(Vec<String>),
}

/// A value and where it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// Keys with their values.
pub(super) type Entries = BTreeMap<String, Entry>;

/// All that was given, by section and key.
#[derive(Debug, Default)]
pub(super) struct Layers {
    sections: BTreeMap<String, Entries>,
    /// There is a file, and nothing of it could be read.
    pub(super) lacks_file: bool,
}

impl Layers {
    /// Reads both layers; gathers what is wrong with the form of either.
    pub(super) fn read(source: &Source) -> (Self, Vec<Fault>) {
        let mut layers = Self::default();
        let mut faults = Vec::new();
        let mut used = BTreeSet::new();
        if let Some(path) = &source.file {
            let variables = &source.environment;
            layers.lacks_file = !file::read(path, variables, &mut used, &mut layers, &mut faults);
        }
        environment::read(&source.environment, &used, &mut layers, &mut faults);
        (layers, faults)
    }

    /// Lays a value over what is there.
    pub(super) fn set(&mut self, section: &str, key: &str, entry: Entry) {
        self.sections
            .entry(section.to_owned())
            .or_default()
            .insert(key.to_owned(), entry);
    }

    /// What was given for a section.
    pub(super) fn section(&self, name: &str) -> Option<&Entries> {
        self.sections.get(name)
    }

    /// One value; `None` if it was not given or cannot be read, which its section tells.
    pub(super) fn get<T: FromText>(&self, section: &str, key: &str) -> Option<T> {
        match &self.sections.get(section)?.get(key)?.raw {
            Raw::Text(text) => T::from_text(text).ok(),
            Raw::Unset | Raw::List(_) => None,
        }
    }
}

/// What was given for the sections of one service, to be compared with what is given later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given(BTreeMap<String, Raw>);

impl Given {
    pub(super) fn of(layers: &Layers, sections: &[&'static str]) -> Self {
        let mut given = BTreeMap::new();
        for &section in sections {
            for (key, entry) in layers.section(section).into_iter().flatten() {
                given.insert(format!("{section}.{key}"), entry.raw.clone());
            }
        }
        Self(given)
    }

    /// The full names of the settings that are given otherwise here, be it that they are given at all.
    pub fn changed_since(&self, before: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(before.0.keys()).collect();
        names
            .into_iter()
            .filter(|name| self.0.get(*name) != before.0.get(*name))
            .cloned()
            .collect()
    }

    /// Takes over a setting as it is given there.
    pub fn adopt(&mut self, name: &str, from: &Self) {
        match from.0.get(name) {
            Some(raw) => self.0.insert(name.to_owned(), raw.clone()),
            None => self.0.remove(name),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn what_is_given_otherwise_is_named_and_can_be_adopted() {
        let given = |variables: &[(&str, &str)]| {
            let environment = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let source = Source {
                file: None,
                environment: environment.collect(),
            };
            Given::of(&Layers::read(&source).0, &["log", "worker"])
        };
        let mut running = given(&[
            ("CERTFLEET_LOG_LEVEL", "info"),
            ("CERTFLEET_WORKER_LEASE", "60s"),
            ("CERTFLEET_SERVER_LISTEN", "127.0.0.1:1"),
        ]);
        let now = given(&[
            ("CERTFLEET_LOG_LEVEL", "debug"),
            ("CERTFLEET_WORKER_CONCURRENCY", "3"),
            ("CERTFLEET_SERVER_LISTEN", "127.0.0.1:2"),
        ]);
        let all = ["log.level", "worker.concurrency", "worker.lease"];
        assert_eq!(now.changed_since(&running), all);
        running.adopt("log.level", &now);
        running.adopt("worker.lease", &now);
        assert_eq!(now.changed_since(&running), ["worker.concurrency"]);
    }

    #[test]
    fn a_variable_that_is_not_text_is_named_if_it_is_ours() {
        let read = |name: &str| {
            let value = OsString::from_vec(vec![0xff]);
            Source::new(None, [(OsString::from(name), value)].into_iter())
        };
        assert!(read("OTHER").unwrap().environment.is_empty());
        let error = read("CERTFLEET_LOG_LEVEL").unwrap_err().to_string();
        assert_eq!(error, "CERTFLEET_LOG_LEVEL is not valid UTF-8");
    }
}
