//! `certfleet config validate`.

use std::path::PathBuf;

use certfleet_service_kit::settings::{SettingsError, Source, check_all};
use clap::Subcommand;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

/// Look at the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the settings of all services without connecting anywhere: one line for each fault, and exit code 2.
    Validate,
}

#[derive(Serialize)]
struct Answer {
    valid: bool,
    faults: Vec<String>,
}

/// Checks the settings of all services.
pub fn validate(config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let checked = Source::of_process(config).and_then(|source| check_all(&source));
    let faults: Vec<String> = match &checked {
        Ok(()) => Vec::new(),
        Err(SettingsError(faults)) => faults.iter().map(ToString::to_string).collect(),
    };
    if faults.is_empty() || out.is_json() {
        let answer = Answer {
            valid: faults.is_empty(),
            faults: faults.clone(),
        };
        out.show(&answer, |sheet| sheet.line("the settings are valid"))?;
    }
    match faults.is_empty() {
        true => Ok(()),
        false if out.is_json() => Err(Failure::Told),
        false => Err(Failure::Invalid(faults.join("\n"))),
    }
}
