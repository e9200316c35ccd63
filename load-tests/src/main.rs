//! Full ACME flows against any directory, with latency per step.
//!
//! `flows` loads one server; `bench` compares several under the same hand, and says what each flow costs in
//! processor time, memory and writes. The client is written here and shares nothing with certfleet's own crates:
//! a server must not be measured with its own code. It costs little itself, because it shares the processor with
//! what it measures, and its share is reported.

mod bench;
mod cli;
mod client;
mod dns;
mod flows;
mod load;
mod measure;
mod peers;
mod report;
mod responder;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use cli::{Cli, Command};

/// Exit code 0 when every flow succeeded, 1 when some did not, 2 when there is no result.
fn main() -> ExitCode {
    work(Cli::parse()).unwrap_or_else(|error| {
        // There is nobody left to tell when standard error is closed.
        drop(writeln!(std::io::stderr().lock(), "error: {error:#}"));
        ExitCode::from(2)
    })
}

fn work(cli: Cli) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.threads.max(1))
        .enable_all()
        .build()?;
    // Spawned, so that the work is done by the runtime's own threads and not also by this one.
    runtime.block_on(async { tokio::spawn(run(cli.command)).await? })
}

async fn run(command: Command) -> Result<ExitCode> {
    let clean = match command {
        Command::Flows(arguments) => flows::run(arguments).await?,
        Command::Bench(arguments) => bench::run(arguments).await?,
        Command::Dns { listen } => {
            let address = dns::start(listen).await?;
            report::say(&format!("every name is 127.0.0.1, says {address}"))?;
            interrupted().await?;
            true
        }
    };
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns when the program is asked to end.
async fn interrupted() -> Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(())
}
