//! Reads the sections that a service uses, and checks those that it does not.
//!
//! One file serves all services: what is another's is checked like one's own, except that nothing in
//! it is required.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fault::{Fault, SettingsError};
use super::layers::{Entries, Given, Layers, Source};
use super::section::Section;
use super::{
    Acme, Agents, Audit, Database, Kek, Limits, Log, Management, Revocation, Scheduler, Server,
    Siem, State, Telemetry, Tls, Validation, Worker, de, server,
};

/// Gives a service its sections, and gathers what is wrong.
pub struct Reader {
    layers: Layers,
    faults: Vec<Fault>,
    read: Vec<&'static str>,
}

/// The settings of one service: the sections that it uses.
pub trait ServiceSettings: Sized {
    /// Reads the sections. `None` only if the reader has a fault to tell. Read all of them before
    /// giving up, so that all faults are told at once.
    fn read(reader: &mut Reader) -> Option<Self>;

    /// Reads and checks all settings.
    fn load(source: &Source) -> Result<Self, SettingsError> {
        Ok(Self::load_given(source)?.0)
    }

    /// The same, with what was given.
    fn load_given(source: &Source) -> Result<(Self, Given), SettingsError> {
        let mut reader = Reader::new(source);
        if reader.layers.lacks_file {
            // What it lacks is all in that file.
            return Err(SettingsError(reader.faults));
        }
        let settings = Self::read(&mut reader);
        reader.check_the_rest();
        match settings {
            Some(settings) if reader.faults.is_empty() => {
                Ok((settings, Given::of(&reader.layers, &reader.read)))
            }
            _ => Err(SettingsError(reader.faults)),
        }
    }
}

impl Reader {
    fn new(source: &Source) -> Self {
        let (layers, faults) = Layers::read(source);
        Self {
            layers,
            faults,
            read: Vec::new(),
        }
    }

    /// A section that the service uses.
    pub fn section<T: Section>(&mut self) -> Option<T> {
        self.read.push(T::NAME);
        match self.parse::<T>() {
            Ok(section) => Some(section),
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    /// The KEK's section, for a service that cannot do without.
    pub fn kek(&mut self) -> Option<Kek> {
        let kek: Kek = self.section()?;
        if !kek.is_given() {
            self.faults.push(Fault::Wrong(
                "kek.file, kek.value or kek.key is required: set one in the file, or CERTFLEET_KEK_FILE, CERTFLEET_KEK_VALUE or CERTFLEET_KEK_KEY"
                    .to_owned(),
            ));
            return None;
        }
        Some(kek)
    }

    /// What is wrong with sections that are right each by itself.
    pub fn complain(&mut self, why: &str) {
        self.faults.push(Fault::Wrong(why.to_owned()));
    }

    fn parse<T: Section>(&self) -> Result<T, Fault> {
        let none = Entries::new();
        let entries = self.layers.section(T::NAME).unwrap_or(&none);
        let section: T = de::section(T::NAME, entries)?;
        section.check().map_err(|(key, why)| {
            let name = T::NAME;
            let origin = entries.get(key).map(|entry| entry.origin.to_string());
            Fault::Wrong(match origin {
                Some(origin) => format!("{name}.{key} ({origin}): {why}"),
                None => format!("{name}.{key}: {why}"),
            })
        })?;
        Ok(section)
    }

    fn check_the_rest(&mut self) {
        self.check_only::<Acme>();
        self.check_only::<Agents>();
        self.check_only::<Audit>();
        self.check_only::<Database>();
        self.check_only::<Kek>();
        self.check_only::<Limits>();
        self.check_only::<Log>();
        self.check_only::<Management>();
        self.check_only::<Revocation>();
        self.check_only::<Scheduler>();
        self.check_only::<Server>();
        self.check_only::<Siem>();
        self.check_only::<State>();
        self.check_only::<Telemetry>();
        self.check_only::<Tls>();
        self.check_only::<Validation>();
        self.check_only::<Worker>();
        self.check_together();
    }

    fn check_only<T: Section>(&mut self) {
        if self.read.contains(&T::NAME) {
            return;
        }
        match self.parse::<T>() {
            Ok(_) | Err(Fault::Missing { .. }) => {}
            Err(fault) => self.faults.push(fault),
        }
    }

    /// What one section alone does not show.
    fn check_together(&mut self) {
        self.no_longer_than(
            (
                "server",
                "shutdown_timeout",
                server::default::shutdown_timeout(),
            ),
            ("worker", "drain_timeout", Worker::DRAIN_TIMEOUT),
        );
        self.no_longer_than(
            ("acme", "answer_wait", Acme::default().answer_wait),
            ("server", "write_timeout", server::default::write_timeout()),
        );
    }

    fn no_longer_than(&mut self, short: Named, long: Named) {
        let value =
            |(section, key, default): Named| self.layers.get(section, key).unwrap_or(default);
        let (short_value, long_value) = (value(short), value(long));
        if short_value > long_value {
            self.faults.push(Fault::Wrong(format!(
                "{}.{} ({short_value:?}) is longer than {}.{} ({long_value:?}); it must not be",
                short.0, short.1, long.0, long.1
            )));
        }
    }
}

/// Section, key and default.
type Named = (&'static str, &'static str, Duration);

/// Checks all settings as all services together would.
pub fn check_all(source: &Source) -> Result<(), SettingsError> {
    let results = [
        super::ApiSettings::load(source).err(),
        super::WorkerSettings::load(source).err(),
        super::SchedulerSettings::load(source).err(),
        super::AdapterSettings::load(source).err(),
    ];
    let faults: BTreeMap<String, Fault> = results
        .into_iter()
        .flatten()
        .flat_map(|error| error.0)
        .map(|fault| (fault.to_string(), fault))
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(SettingsError(faults.into_values().collect()))
    }
}
