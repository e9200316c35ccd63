//! How many jobs so many processes claim, and how soon a job is started, on a replica set of three of this program's own.
//!
//! Each claimer is a process with connections of its own, as workers are. They connect, say so, and begin together; a
//! figure is all jobs over the time from the word "go" until the last of them has found nothing more.

mod claimer;
mod idle;
mod wake_up;

use std::io::Write as _;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_domain::{ServerId, SystemClock, SystemRng};
use clap::{Args, Parser, Subcommand};
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use certfleet_queue_load::ground::{Ground, Space};
use claimer::ClaimerArgs;

/// How many jobs so many processes claim, and how soon a job is started.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Inner>,
    #[command(flatten)]
    load: LoadArgs,
}

/// What this program runs itself as.
#[derive(Subcommand)]
enum Inner {
    /// One claimer.
    #[command(hide = true)]
    Claimer(ClaimerArgs),
}

#[derive(Args)]
struct LoadArgs {
    /// How many processes claim; a row for each number.
    #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
    claimers: Vec<usize>,
    /// How many jobs there are for each row.
    #[arg(long, default_value_t = 40_000)]
    jobs: usize,
    /// The most that one claim takes.
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// How often everything is measured; the median is told.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many jobs are enqueued one by one, to see how soon each is started.
    #[arg(long, default_value_t = 300)]
    wake_ups: usize,
    /// How many finished jobs there are when an idle worker looks for more.
    #[arg(long, default_value_t = 1_000_000)]
    finished: usize,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Some(Inner::Claimer(arguments)) => claimer::run(arguments).await,
            None => Ground::lend(async |ground| measure(ground, &cli.load).await).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    // There is nobody left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::from(2)
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

async fn measure(ground: &mut Ground, load: &LoadArgs) -> Result<()> {
    let mut table = Table::new();
    table
        .load_preset(ASCII_MARKDOWN)
        .set_header(["claimers", "claims/s", "least", "most"]);
    let mut rates = vec![Vec::new(); load.claimers.len()];
    // Round after round, so that what changes on the machine meanwhile changes for all.
    for round in 1..=load.rounds {
        for (&claimers, rates) in load.claimers.iter().zip(&mut rates) {
            let rate = claim_all(ground, claimers, load).await?;
            say(&format!(
                "round {round}, {claimers} claimers: {rate:.0} claims/s"
            ))?;
            rates.push(rate);
        }
    }
    for (claimers, rates) in load.claimers.iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        let at = |place: usize| rates.get(place).copied().unwrap_or_default();
        let last = rates.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
        table.add_row([
            claimers.to_string(),
            format!("{median:.0}"),
            format!("{:.0}", at(0)),
            format!("{:.0}", at(last)),
        ]);
    }
    let started = wake_up::measure(&ground.space().await?, load.wake_ups).await?;
    say(&format!(
        "\n{} jobs for each figure, up to {} in a claim, {} rounds; medians\n\n{table}\n",
        load.jobs, load.batch, load.rounds
    ))?;
    say(&format!(
        "enqueued to claimed, {} jobs one by one: {started}",
        load.wake_ups
    ))?;
    say(&idle::measure(&ground.space().await?, load.finished).await?)
}

/// Has so many processes claim all jobs. Gives claims per second.
async fn claim_all(ground: &mut Ground, claimers: usize, load: &LoadArgs) -> Result<f64> {
    let space = ground.space().await?;
    space.enqueue(load.jobs).await?;
    let ids: Vec<String> = (0..claimers)
        .map(|_| ServerId::generate(&SystemClock, &mut SystemRng).to_string())
        .collect();
    let mut processes = Vec::new();
    for id in &ids {
        processes.push(start(&space, id, &ids, load.batch)?);
    }
    for process in &mut processes {
        let said = line_of(process).await?;
        ensure!(said == "ready", "a claimer says {said:?}");
    }
    let began = Instant::now();
    for process in &mut processes {
        let input = process.stdin.as_mut().context("no standard input")?;
        input.write_all(b"go\n").await?;
    }
    let mut claimed = 0;
    for process in &mut processes {
        claimed += line_of(process).await?.parse::<usize>()?;
    }
    let took = began.elapsed();
    for process in &mut processes {
        process.wait().await?;
    }
    ensure!(
        claimed == load.jobs,
        "{claimed} claims of {} jobs: some were lost, or taken twice",
        load.jobs
    );
    Ok(per_second(claimed, took))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn start(space: &Space, id: &str, all: &[String], batch: usize) -> Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("claimer")
        .args(["--me", id, "--all", &all.join(",")])
        .args(["--batch", &batch.to_string()])
        .args(["--database", &space.database])
        .env(claimer::URI, &space.uri)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("a claimer does not start")
}

/// The next line that a claimer says.
async fn line_of(process: &mut Child) -> Result<String> {
    let output = process.stdout.as_mut().context("no standard output")?;
    let mut line = String::new();
    // One line at a time is said, and answered before the next: nothing is lost with the buffer.
    BufReader::new(output).read_line(&mut line).await?;
    ensure!(!line.is_empty(), "a claimer ended early");
    Ok(line.trim_end().to_owned())
}
