//! certfleet-agent: puts certificates of the fleet where they are served, on the host that it runs on.
//!
//! It asks the API, and is asked by nobody. What its owner has not allowed in its own [`settings`], it does not do: it writes
//! files below the directories that stand there, and runs commands that stand there, whatever the API says.
//!
//! * [`identity`]: the certificate by which the API knows it, which it makes itself.
//! * [`api`]: the conversation.
//! * [`delivering`]: files written, a command run, a look at what is served; and everything as it was if that fails.

mod api;
mod cli;
mod delivering;
mod enrol;
mod identity;
mod run;
mod settings;
mod state;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::settings::Settings;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log(cli.json_log);
    match begin(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let told: Vec<String> = error.chain().map(ToString::to_string).collect();
            // Nowhere is left to say that standard error is gone.
            let _ = writeln!(anstream::stderr(), "certfleet-agent: {}", told.join(": "));
            ExitCode::FAILURE
        }
    }
}

fn begin(cli: &Cli) -> anyhow::Result<()> {
    let settings = Settings::read(&cli.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match &cli.command {
            Command::Enrol(args) => enrol::enrol(&settings, args).await,
            Command::Run(args) => run::run(settings, args.once).await,
            Command::Check => settings.tell(),
        }
    })
}

fn log(json: bool) {
    let filter = EnvFilter::try_from_env("CERTFLEET_AGENT_LOG");
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if json || !std::io::stderr().is_terminal() {
        lines.json().flatten_event(true).init();
    } else {
        lines.init();
    }
}
