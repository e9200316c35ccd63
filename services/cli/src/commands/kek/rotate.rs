//! Another KEK seals.

use std::time::Duration;

use certfleet_audit::Act;
use certfleet_domain::{Clock, SystemClock};
use certfleet_jobs::Job;
use certfleet_secrets::KekId;
use certfleet_storage::{CommitError, Sealing, Store};
use clap::Args;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::status::{Status, holds, living_openers};
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, progress};

/// Between two looks at what is left, at the least.
const LOOK: Duration = Duration::from_millis(500);
/// A look reads all secrets, and is to be no burden: this many times as long nobody looks.
const REST: u32 = 10;

/// A scheduler that is killed has a successor, and a worker's job one, in less.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// Which KEK.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The id of the KEK that is to seal, as `kek status` shows it. Every API replica and worker has to hold it by now.
    #[arg(long, value_name = "ID")]
    to: KekId,
    /// Do not wait until all secrets are sealed anew.
    #[arg(long)]
    detach: bool,
}

#[derive(Serialize)]
struct Rotated {
    seals: String,
    /// Secrets under other KEKs.
    left: u64,
    /// How many were sealed anew while this command looked on.
    resealed: u64,
    seconds: f64,
}

/// Has it seal; waits until nothing is left under another.
pub async fn run(store: &Store, args: &RotateArgs, out: Output) -> Result<(), Failure> {
    let sealing = store.keks.sealing().await?.ok_or_else(|| {
        Failure::NotFound("nothing was ever sealed: there is nothing to rotate".to_owned())
    })?;
    if sealing.kek != args.to {
        all_hold(store, &args.to).await?;
        switch(store, &sealing, &args.to).await?;
    }
    begin(store).await?;
    let began = Instant::now();
    let before = left(store, &args.to).await?;
    let after = if args.detach {
        before
    } else {
        watch(store, &args.to, before).await?
    };
    let answer = Rotated {
        seals: args.to.to_string(),
        left: after.secrets,
        resealed: before.secrets.saturating_sub(after.secrets),
        seconds: began.elapsed().as_secs_f64(),
    };
    out.show(&answer, |sheet| {
        sheet.line(format_args!("KEK {} seals", answer.seals));
        if after.in_use {
            sheet.line(format_args!(
                "{} secrets are left under others, and are being sealed anew: `certfleet kek status`",
                after.secrets
            ));
        } else {
            sheet.line("nothing is left under any other: those can be taken out of the settings");
        }
    })
}

/// Whoever does not hold it could open nothing that is sealed from now on.
async fn all_hold(store: &Store, kek: &KekId) -> Result<(), Failure> {
    let openers = living_openers(store).await?;
    let lacking: Vec<String> = openers
        .iter()
        .filter(|process| !holds(process, kek.as_str()))
        .map(|process| format!("{} {}", process.service, process.id))
        .collect();
    if openers.is_empty() {
        return Err(Failure::Invalid(format!(
            "no API replica and no worker is alive to say that it holds KEK {kek}: nothing was done"
        )));
    }
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Failure::Invalid(format!(
        "KEK {kek} is not held by {}: name it in kek.others and restart them, then ask again; nothing \
         was done",
        lacking.join(", ")
    )))
}

/// The switch and its record.
async fn switch(store: &Store, from: &Sealing, to: &KekId) -> Result<(), Failure> {
    let event = Operator::here()
        .event(Act::RotateKek, format_args!("kek/{to}"))
        .with_detail(format_args!("from {}", from.kek));
    let unit = store.keks.switch(from, to).recording(&event)?;
    match store.commit(unit).await {
        Ok(()) => Ok(()),
        Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => Err(Failure::new(
            "somebody else rotates at this moment: look at `certfleet kek status`, and ask again; nothing was done",
        )),
        Err(CommitError::Storage(error)) => Err(error.into()),
    }
}

/// Has a worker begin at once. Without it, the scheduler has one begin within ten seconds.
async fn begin(store: &Store) -> Result<(), Failure> {
    let now = SystemClock.now().unix_timestamp();
    let (due, since) = (now, now);
    let run = store.jobs.enqueue(&Job::RewrapSecrets { due, since })?;
    match store.commit(run).await {
        Err(CommitError::Storage(error)) => Err(error.into()),
        // There is one of this second.
        Ok(()) | Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => Ok(()),
    }
}

/// What is under other KEKs.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Left {
    secrets: u64,
    /// Whether there can be any, though none was counted.
    in_use: bool,
}

async fn left(store: &Store, kek: &KekId) -> Result<Left, Failure> {
    let mut keks = Status::read(store).await?.keks;
    keks.retain(|other| other.id != kek.as_str());
    let secrets = keks.iter().map(|other| other.secrets).sum();
    let in_use = secrets > 0 || keks.iter().any(|other| other.in_use);
    Ok(Left { secrets, in_use })
}

/// Looks on until nothing is left. Ctrl-C ends the looking on, and nothing else.
async fn watch(store: &Store, kek: &KekId, before: Left) -> Result<Left, Failure> {
    let bar = progress(before.secrets, "secrets");
    let mut now = before;
    let mut moved = Instant::now();
    let mut rest = LOOK;
    while now.in_use {
        sleep(rest).await;
        let look = Instant::now();
        let was = std::mem::replace(&mut now, left(store, kek).await?);
        rest = LOOK.max(look.elapsed() * REST);
        if now != was {
            moved = Instant::now();
        } else if moved.elapsed() > STUCK_AFTER {
            return Err(Failure::new(format!(
                "{} secrets are left, and nothing was sealed anew for {} s: the workers' logs say why",
                now.secrets,
                STUCK_AFTER.as_secs()
            )));
        }
        bar.set_position(before.secrets.saturating_sub(now.secrets));
        let still = store.keks.sealing().await?;
        if still.is_none_or(|sealing| sealing.kek != *kek) {
            return Err(Failure::new(
                "another KEK seals meanwhile: see `certfleet kek status`",
            ));
        }
    }
    bar.finish_and_clear();
    Ok(now)
}
