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

/// Between two looks at what is left.
const LOOK: Duration = Duration::from_millis(500);

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
        left: after,
        resealed: before.saturating_sub(after),
        seconds: began.elapsed().as_secs_f64(),
    };
    out.show(&answer, |sheet| {
        sheet.line(format_args!("KEK {} seals", answer.seals));
        if after > 0 {
            sheet.line(format_args!(
                "{after} secrets are left under others, and are being sealed anew: `certfleet kek status`"
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

async fn left(store: &Store, kek: &KekId) -> Result<u64, Failure> {
    let keks = Status::read(store).await?.keks;
    let others = keks.iter().filter(|other| other.id != kek.as_str());
    Ok(others.map(|other| other.secrets).sum())
}

/// Looks on until nothing is left. Ctrl-C ends the looking on, and nothing else.
async fn watch(store: &Store, kek: &KekId, before: u64) -> Result<u64, Failure> {
    let bar = progress(before, "secrets");
    let mut now = before;
    let mut moved = Instant::now();
    while now > 0 {
        sleep(LOOK).await;
        let was = std::mem::replace(&mut now, left(store, kek).await?);
        if now != was {
            moved = Instant::now();
        } else if moved.elapsed() > STUCK_AFTER {
            return Err(Failure::new(format!(
                "{now} secrets are left, and nothing was sealed anew for {} s: the workers' logs say why",
                STUCK_AFTER.as_secs()
            )));
        }
        bar.set_position(before.saturating_sub(now));
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
