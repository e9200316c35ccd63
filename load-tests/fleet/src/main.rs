//! How fast a whole fleet is had anew, delivered and looked at: on a cluster of this program's own, with real processes, over the
//! cluster's own ACME endpoint, names proven by its own API.

mod deliver;
mod ground;
mod inventory;
mod replace;
mod scan;
mod tick;
mod zone;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use tokio::runtime::Runtime;

use crate::ground::Ground;

/// How fast a whole fleet is had anew, delivered and looked at.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Have so many certificates, while some of their names cannot be proven at first, and processes are killed.
    Replace {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        certificates: u32,
        /// How many of a hundred names cannot be proven until all others are had.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
        failing: u32,
        /// Kill a worker and restart an API replica in turn, every so many seconds; 0 for never.
        #[arg(long, default_value_t = 0)]
        kill_every: u64,
        /// Then have all of them once more, as their authority would ask for.
        #[arg(long)]
        again: bool,
    },
    /// Have so many certificates delivered to one nginx.
    Deliver {
        /// How many.
        #[arg(long, default_value_t = 500)]
        certificates: u32,
    },
    /// Look at so many endpoints, a tenth of which do not answer, half of these without saying so.
    Scan {
        /// How many.
        #[arg(long, default_value_t = 5000)]
        endpoints: u32,
    },
    /// Have so many certificates with names in one zone, proven by dns-01.
    Zone {
        /// How many.
        #[arg(long, default_value_t = 500)]
        certificates: u32,
    },
    /// List, filter and search so many managed certificates through the REST API.
    Inventory {
        /// How many; several for several rows.
        #[arg(long, default_values_t = [10_000, 1_000_000])]
        rows: Vec<u32>,
    },
    /// Find what is due among so many managed certificates.
    Tick {
        /// How many; several for several rows.
        #[arg(long, default_values_t = [10_000, 100_000, 1_000_000])]
        rows: Vec<u32>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(cli.command)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(command: Command) -> Result<()> {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    match command {
        Command::Replace {
            certificates,
            failing,
            kill_every,
            again,
        } => {
            let ground = Ground::prepare().await?;
            let terms = replace::Terms {
                certificates,
                failing,
                kill_every,
                again,
            };
            let measured = replace::measure(&ground, &terms, &mut table).await;
            ground.end().await?;
            measured?;
        }
        Command::Deliver { certificates } => {
            let ground = Ground::prepare().await?;
            let measured = deliver::measure(&ground, certificates, &mut table).await;
            ground.end().await?;
            measured?;
        }
        Command::Scan { endpoints } => {
            let ground = Ground::prepare().await?;
            let measured = scan::measure(&ground, endpoints, &mut table).await;
            ground.end().await?;
            measured?;
        }
        Command::Zone { certificates } => {
            let ground = Ground::prepare().await?;
            let measured = zone::measure(&ground, certificates, &mut table).await;
            ground.end().await?;
            measured?;
        }
        Command::Inventory { rows } => {
            let ground = Ground::prepare().await?;
            let measured = inventory::measure(&ground, &rows, &mut table).await;
            ground.end().await?;
            measured?;
        }
        Command::Tick { rows } => tick::measure(&rows, &mut table).await?,
    }
    writeln!(std::io::stdout(), "{table}")?;
    Ok(())
}

/// Tells people how far it is.
pub fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{line}")?)
}
