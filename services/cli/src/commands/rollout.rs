//! `certfleet rollout`: what pods do of themselves while a cluster is brought to another version.

use std::path::PathBuf;
use std::time::Duration;

use certfleet_service_kit::settings::parse_duration;
use certfleet_storage::{Processes, Seen, Store};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Between two looks at who is alive; each says so every few seconds.
const LOOK: Duration = Duration::from_secs(1);

/// Do one thing after the other while a cluster is brought to another version.
#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// Wait until no process of these services is alive that is of another version than this command.
    Wait(WaitArgs),
    /// Wait for a time and do nothing: before a pod that is to go is told so, while it may still be sent requests.
    Pause {
        /// How long, such as 5s; 2m at the most.
        #[arg(value_parser = pause)]
        time: Duration,
    },
}

/// For whom, and how long.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// The services that come first.
    #[arg(long = "for", value_name = "SERVICE", required = true)]
    services: Vec<Service>,
    /// How long at the most. After that this fails.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10m")]
    timeout: Duration,
}

/// A service that there are processes of.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Service {
    Api,
    Worker,
    Scheduler,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
        }
    }
}

#[derive(Serialize)]
struct Waited {
    version: &'static str,
    seconds: f64,
}

fn pause(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_secs(120);
    let time = parse_duration(text)?;
    if time > longest {
        return Err("2m at the most is due".to_owned());
    }
    Ok(time)
}

/// Carries out a `rollout` command.
pub async fn run(
    command: RolloutCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    match command {
        RolloutCommand::Wait(args) => wait(&open(config).await?, &args, out).await,
        RolloutCommand::Pause { time } => {
            sleep(time).await;
            Ok(())
        }
    }
}

async fn wait(store: &Store, args: &WaitArgs, out: Output) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let others = others(store, args).await?;
        let Some(first) = others.first() else { break };
        if began.elapsed() >= args.timeout {
            return Err(Failure::new(format!(
                "{} processes of another version than {} are alive after {} s, such as {} {} of {}",
                others.len(),
                env!("CARGO_PKG_VERSION"),
                args.timeout.as_secs(),
                first.service,
                first.id,
                first.version
            )));
        }
        sleep(LOOK).await;
    }
    let waited = Waited {
        version: env!("CARGO_PKG_VERSION"),
        seconds: began.elapsed().as_secs_f64(),
    };
    out.show(&waited, |sheet| {
        let services: Vec<_> = args.services.iter().map(|service| service.name()).collect();
        sheet.line(format_args!(
            "every living process of {} is of version {}",
            services.join(", "),
            waited.version
        ));
    })
}

/// The living processes that are waited for.
async fn others(store: &Store, args: &WaitArgs) -> Result<Vec<Seen>, Failure> {
    let mut seen = store.processes.census().await?;
    seen.retain(|process| {
        let counts = |service: &Service| service.name() == process.service;
        process.silent_for <= Processes::ALIVE_WITHIN
            && process.version != env!("CARGO_PKG_VERSION")
            && args.services.iter().any(counts)
    });
    Ok(seen)
}
