//! `certfleet crl`: the lists of what is revoked (CA-4).

use std::path::PathBuf;
use std::time::Duration;

use certfleet_audit::Act;
use certfleet_domain::{Authority, AuthorityName, Clock, CrlShard, SystemClock, Timestamp};
use certfleet_jobs::Job;
use certfleet_storage::{CommitError, Store, Unit};
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, progress};

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(250);
/// A scheduler that is killed has a successor, and a worker's job one, in less.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Have the lists of what is revoked signed anew.
#[derive(Debug, Subcommand)]
pub enum CrlCommand {
    /// Have all CRLs signed anew, whether they are due or not, and wait until they are.
    Rebuild(RebuildArgs),
}

/// Which lists.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// Those of this authority only.
    #[arg(long, value_name = "NAME")]
    authority: Option<AuthorityName>,
}

#[derive(Serialize)]
struct Rebuilt {
    crls: u64,
    seconds: f64,
}

/// Carries out a `crl` command.
pub async fn run(command: CrlCommand, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let store = open(config).await?;
    match command {
        CrlCommand::Rebuild(args) => rebuild(&store, &args, out).await,
    }
}

async fn rebuild(store: &Store, args: &RebuildArgs, out: Output) -> Result<(), Failure> {
    let mut authorities = store.authorities.all().await?;
    if let Some(name) = &args.authority {
        authorities.retain(|authority| authority.name == *name);
        if authorities.is_empty() {
            return Err(Failure::not_found("authority", name));
        }
    }
    let began = Instant::now();
    let now = SystemClock.now();
    for authority in &authorities {
        for issuer in authority.issuers() {
            store.crls.renew(issuer.id, now).await?;
        }
    }
    begin(store, &authorities, now).await?;
    let crls = watch(store, &authorities, now).await?;
    let answer = Rebuilt {
        crls,
        seconds: began.elapsed().as_secs_f64(),
    };
    out.show(&answer, |sheet| {
        sheet.line(format_args!(
            "{} CRLs were signed anew in {:.1} s",
            answer.crls, answer.seconds
        ));
    })
}

/// Has a worker begin at once, on record.
async fn begin(store: &Store, authorities: &[Authority], now: Timestamp) -> Result<(), Failure> {
    let operator = Operator::here();
    let mut unit = Unit::default();
    for authority in authorities {
        let target = format_args!("authority/{}", authority.name);
        unit = unit.recording(&operator.event(Act::RebuildCrls, target))?;
    }
    let (due, since) = (now.unix_timestamp(), now.unix_timestamp());
    let run = store.jobs.enqueue(&Job::PublishCrls { due, since })?;
    match store.commit(unit.and(run)).await {
        Ok(()) => Ok(()),
        Err(CommitError::Storage(error)) => Err(error.into()),
        Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => Err(Failure::new(
            "the lists are being signed at this very second: ask again",
        )),
    }
}

/// Looks on until every list was signed after this moment. Ctrl-C ends the looking on, and nothing else.
async fn watch(store: &Store, authorities: &[Authority], since: Timestamp) -> Result<u64, Failure> {
    let issuers: Vec<_> = authorities
        .iter()
        .flat_map(Authority::issuers)
        .filter(|issuer| is_valid(&issuer.certificate, since))
        .collect();
    let due = u64::from(CrlShard::COUNT) * issuers.len() as u64;
    let bar = progress(due, "CRLs");
    let (mut done, mut moved) = (0, Instant::now());
    while done < due {
        sleep(LOOK).await;
        let mut settled = 0;
        for issuer in &issuers {
            let by_age = store.crls.by_age(issuer.id).await?;
            let renewed = by_age.iter().filter(|(renew_at, _)| *renew_at > since);
            settled += renewed.count() as u64;
        }
        if settled != done {
            moved = Instant::now();
        } else if moved.elapsed() > STUCK_AFTER {
            return Err(Failure::new(format!(
                "{} CRLs are left, and none was signed for {} s: is there a worker, does it have revocation.url, and what \
                 does its log say?",
                due - done,
                STUCK_AFTER.as_secs()
            )));
        }
        done = settled;
        bar.set_position(done);
    }
    bar.finish_and_clear();
    Ok(done)
}

/// Whether an issuer still signs lists: nobody goes by those of one that is over.
fn is_valid(certificate: &[u8], now: Timestamp) -> bool {
    certfleet_pki::validity_of_certificate(certificate).is_ok_and(|(_, end)| now < end)
}
