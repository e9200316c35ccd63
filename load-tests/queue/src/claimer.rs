//! One claimer: a process that claims what is due in its own buckets until there is nothing more.

use std::time::Duration;

use anyhow::{Context as _, Result};
use certfleet_domain::{ServerId, SystemClock, SystemRng};
use certfleet_jobs::{JobKind, Lane, Room};
use certfleet_queue_load::ground;
use clap::Args;

use crate::say;

/// The variable with the connection string: arguments are there for all to see.
pub const URI: &str = "CERTFLEET_QUEUE_LOAD_URI";
/// Longer than a run.
pub const LEASE: Duration = Duration::from_secs(3600);

#[derive(Args)]
pub struct ClaimerArgs {
    /// Who it is.
    #[arg(long)]
    me: ServerId,
    /// Who claims, this one among them.
    #[arg(long, value_delimiter = ',')]
    all: Vec<ServerId>,
    /// The most that one claim takes.
    #[arg(long)]
    batch: usize,
    /// The database's name.
    #[arg(long)]
    database: String,
}

/// Says "ready", waits for a word, claims, and says how many jobs it has got.
pub async fn run(arguments: ClaimerArgs) -> Result<()> {
    let uri = std::env::var(URI).context(URI)?;
    let store = ground::connect(&uri, &arguments.database).await?;
    store.ping().await?;
    let mut claimer = store
        .jobs
        .claimer(arguments.me, JobKind::ALL.to_vec(), LEASE);
    claimer.share_with(&arguments.all);
    say("ready")?;
    let mut word = String::new();
    // Nothing else is to be done meanwhile.
    std::io::stdin().read_line(&mut word)?;
    let mut taken = 0;
    loop {
        let mut room = Room::new(Lane::Inside, arguments.batch, arguments.batch, []);
        let leases = claimer
            .claim(&mut room, &SystemClock, &mut SystemRng)
            .await?;
        if leases.is_empty() {
            return say(&taken.to_string());
        }
        taken += leases.len();
    }
}
