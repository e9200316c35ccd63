//! The drills' command line.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command says what it does"
)]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use certfleet_drills::{Drill, Figures, Scale, Setting};
use clap::Parser;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;
use tokio::time::Instant;

/// Breaks a running cluster in every way that it must survive, under load, and checks what is left.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The drills to run; the whole set if none is named, which is all but `rotation`
    drills: Vec<String>,
    /// Shows which drills there are
    #[arg(long)]
    list: bool,
    /// As much of each as `make test` does
    #[arg(long)]
    short: bool,
    /// What chance starts from, to repeat a run
    #[arg(long)]
    seed: Option<u64>,
    /// Where the programs of a former build are, for `upgrade`
    #[arg(long, value_name = "DIRECTORY")]
    former: Option<std::path::PathBuf>,
    /// Writes the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

#[derive(Serialize)]
struct Outcome {
    drill: &'static str,
    seconds: u64,
    seed: u64,
    figures: Figures,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("certfleet-drills: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for drill in Drill::ALL {
            println!("{:<16} {}", drill.name(), drill.about());
        }
        return Ok(());
    }
    let drills = chosen(&arguments.drills)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let setting = Setting {
        scale: if arguments.short {
            Scale::Short
        } else {
            Scale::Whole
        },
        seed: arguments.seed.unwrap_or_else(rand::random),
        former: arguments.former.clone(),
    };
    let mut outcomes = Vec::new();
    for drill in drills {
        eprintln!("{}: {}", drill.name(), drill.about());
        let began = Instant::now();
        let figures = runtime
            .block_on(drill.run(setting.clone()))
            .with_context(|| failed(drill, &setting))?;
        show(drill, &figures, began.elapsed());
        outcomes.push(Outcome {
            drill: drill.name(),
            seconds: began.elapsed().as_secs(),
            seed: setting.seed,
            figures,
        });
    }
    if let Some(path) = &arguments.json {
        let file = std::fs::File::create(path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        serde_json::to_writer_pretty(file, &outcomes)?;
    }
    Ok(())
}

fn failed(drill: Drill, setting: &Setting) -> String {
    let short = match setting.scale {
        Scale::Short => " --short",
        Scale::Whole => "",
    };
    format!(
        "the drill has failed; repeat it with: certfleet-drills {}{short} --seed {}",
        drill.name(),
        setting.seed
    )
}

fn chosen(names: &[String]) -> Result<Vec<Drill>> {
    if names.is_empty() {
        let set = Drill::ALL.iter().filter(|drill| drill.is_of_the_set());
        return Ok(set.copied().collect());
    }
    names
        .iter()
        .map(|name| {
            let found = Drill::ALL.iter().find(|drill| drill.name() == name);
            let Some(found) = found else {
                let known: Vec<&str> = Drill::ALL.iter().map(|drill| drill.name()).collect();
                bail!("{name:?} is no drill; the drills are {}", known.join(", "));
            };
            Ok(*found)
        })
        .collect()
}

fn show(drill: Drill, figures: &Figures, took: Duration) {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header([drill.name(), &format!("passed in {} s", took.as_secs())]);
    for (what, how_much) in figures.iter() {
        table.add_row([what, how_much]);
    }
    println!("{table}");
}
