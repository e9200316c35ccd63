//! Settings: from where they come, what they are, and what is said of a wrong one.
//!
//! Three layers, the upper over the lower: the environment (`CERTFLEET_<SECTION>_<KEY>`), a YAML file,
//! and the defaults in the code. In the file, `${VAR}` is the content of a variable that must be set,
//! and `${VAR:-default}` of one that need not be. Durations read `500ms`, `30s`, `5m`, `1h`, `7d`; a
//! list in the environment has commas between its items.
//!
//! Each section is one struct in one file, and the file that describes them all is [`SAMPLE`]. Unknown
//! sections, keys and variables, and values that make no sense, are refused, all at once, each in one
//! line with the setting's full name. A file may hold the sections of all services.

mod acme;
mod adapter;
mod agents;
mod audit;
mod database;
mod de;
mod environment;
mod expand;
mod fault;
mod file;
mod kek;
mod layers;
mod limits;
mod log;
mod management;
mod networks;
mod notices;
mod pkcs11;
mod reader;
mod rest;
mod revocation;
mod scheduler;
mod secret_text;
mod section;
mod server;
mod services;
mod siem;
mod smtp;
mod state;
mod telemetry;
mod text;
mod tls;
mod urls;
mod validation;
mod worker;

pub use acme::Acme;
pub use adapter::Adapter;
pub use agents::Agents;
pub use audit::Audit;
pub use database::Database;
pub use fault::{Fault, SettingsError};
pub use kek::Kek;
pub use layers::{Given, Source};
pub use limits::{Limits, parse_rate};
pub use log::{Log, LogFormat};
pub use management::Management;
pub use networks::Networks;
pub use notices::Notices;
pub use pkcs11::Pkcs11;
pub use reader::{Reader, ServiceSettings, check_all};
pub use rest::Rest;
pub use revocation::{ListenAddress, Revocation};
pub use scheduler::Scheduler;
pub use secret_text::SecretText;
pub use section::Section;
pub use server::Server;
pub use services::{
    AdapterSettings, ApiSettings, Base, CliSettings, LongRunning, SchedulerSettings, WorkerSettings,
};
pub use siem::{Siem, SiemFormat, SiemUrl};
pub use smtp::{SmtpSecurity, SmtpServer};
pub use state::State;
pub use telemetry::{OtlpEndpoint, Ratio, Telemetry};
pub use text::{Resolver, parse_duration};
pub use tls::{Tls, TlsMode};
pub use urls::{ExternalUrl, MongoUri, WebUrl};
pub use validation::Validation;
pub use worker::Worker;

/// A settings file with every key, its default and what it is for.
pub const SAMPLE: &str = include_str!("sample.yaml");

#[cfg(test)]
mod tests;
