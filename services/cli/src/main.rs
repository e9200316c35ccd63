//! certfleet: the operator's command, and `certfleet up`, the whole cluster on one machine.
//!
//! Each command is a file under [`commands`]; [`up`] has a folder of its own with a file for each of its steps. What a
//! command has to say goes to standard output, as text for people or, with `--json`, as JSON; what went wrong goes to
//! standard error in one line.

mod cli;
mod commands;
mod connection;
mod failure;
mod hierarchy;
mod mac_key;
mod operator;
mod output;
mod up;

use std::process::ExitCode;

use certfleet_service_kit::settings::{Log, LogFormat};
use certfleet_service_kit::{telemetry, tls};
use clap::Parser;
use tokio::runtime::Runtime;

use crate::cli::Cli;
use crate::failure::Failure;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    telemetry::init(&log(&cli))?;
    tls::install_crypto_provider();
    let runtime = Runtime::new()?;
    let done = runtime.block_on(commands::run(cli));
    // The answer is given. The database driver's tasks may miss each other while the runtime goes, and panic.
    std::panic::set_hook(Box::new(|_| {}));
    // A lookup that blocks must not keep the process.
    runtime.shutdown_background();
    done
}

/// What is logged is for the case that something is strange: the commands themselves say what they do.
fn log(cli: &Cli) -> Log {
    let level = if cli.verbose { "info" } else { "warn" };
    Log {
        level: level.to_owned(),
        format: Some(if cli.json {
            LogFormat::Json
        } else {
            LogFormat::Text
        }),
    }
}
