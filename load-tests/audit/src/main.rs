//! How fast the audit trail is verified, and whether everything that is done to it is found out, on a replica set of three
//! of this program's own.
//!
//! The log is made as it is in life: events are committed in company, numbered by the sequencer, signed now and then. Then
//! `certfleet audit verify` reads it as a process of its own, and again after each thing that was done to it.

mod log;
mod tampering;
mod verify;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use certfleet_queue_load::ground::Ground;
use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use tokio::runtime::Runtime;

use log::Log;

/// How fast the audit trail is verified, and whether everything that is done to it is found out.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// How many entries; all is done for each number.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    entries: Vec<u64>,
    /// How often each log is verified while it is whole; the median is told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            runtime.block_on(Ground::lend(async |ground| measure(ground, &cli).await))
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn measure(ground: &mut Ground, cli: &Cli) -> Result<()> {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header([
        "entries",
        "recorded/s",
        "numbered/s",
        "verified/s",
        "what is new: entries, s",
    ]);
    for &size in &cli.entries {
        let log = Log::make(ground.space().await?, size).await?;
        let mut rates = Vec::new();
        let mut news = (0, 0.0);
        for _ in 0..cli.rounds {
            let (read, seconds) = verify::whole(&log, &[]).await?;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            rates.push(read as f64 / seconds);
            news = verify::whole(&log, &[Path::new("--since"), &log.kept[1]]).await?;
        }
        rates.sort_by(f64::total_cmp);
        let [recorded, numbered] = log.rates;
        table.add_row([
            size.to_string(),
            format!("{recorded:.0}"),
            format!("{numbered:.0}"),
            format!("{:.0}", rates[rates.len() / 2]),
            format!("{}, {:.2}", news.0, news.1),
        ]);
        for [done, said] in tampering::all_are_found_out(&log).await? {
            say(&format!("{size} entries: {done}: {said}"))?;
        }
    }
    say(&format!("\n{} rounds; medians\n\n{table}", cli.rounds))
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
