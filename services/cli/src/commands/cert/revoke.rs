//! Certificates are revoked, one or a million.

use std::pin::pin;

use certfleet_audit::Act;
use certfleet_domain::{
    AccountId, AuthorityName, Certificate, CertificateState, Clock, RevocationReason, SystemClock,
    Timestamp,
};
use certfleet_storage::{CommitError, Selection, Store};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tokio::time::Instant;

use crate::commands::inspect::Which;
use crate::commands::parse_moment;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, joined, moment, progress};

/// How many are on their way to the database at once: about two transactions.
const AT_ONCE: usize = 256;
/// How many a dry run shows.
const SHOWN: usize = 10;

const AFTER_HELP: &str = "\
Only certificates that are valid are revoked; all conditions have to hold. Look first, then do it:
  certfleet cert revoke --account ID --reason superseded --dry-run
  certfleet cert revoke --account ID --reason superseded --yes
A command that was interrupted can be given again: it goes on with what is left.";

/// Which certificates, and why.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct RevokeArgs {
    /// Certificates by id or serial number, instead of by what they have in common.
    #[arg(value_name = "CERTIFICATE", conflicts_with_all = ["authority", "account", "name", "issued_since", "issued_before"])]
    certificates: Vec<Which>,
    /// Those of this authority.
    #[arg(long, value_name = "NAME")]
    authority: Option<AuthorityName>,
    /// Those that this account has ordered.
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Those with this name among their names, or one below it: example.org stands for www.example.org as well.
    #[arg(long, value_name = "DOMAIN")]
    name: Option<String>,
    /// Those that were issued at this moment or later, such as 2026-11-26T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    issued_since: Option<Timestamp>,
    /// Those that were issued before this moment.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    issued_before: Option<Timestamp>,
    /// Why: unspecified, keyCompromise, affiliationChanged, superseded or cessationOfOperation.
    #[arg(long, value_name = "REASON", default_value = "unspecified", value_parser = parse_reason)]
    reason: RevocationReason,
    /// Show what would be revoked, and do nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it.
    #[arg(long)]
    yes: bool,
}

pub fn parse_reason(text: &str) -> Result<RevocationReason, String> {
    RevocationReason::ALL
        .into_iter()
        .find(|reason| reason.name() == text)
        .ok_or_else(|| {
            let names = RevocationReason::ALL.map(RevocationReason::name);
            format!("one of {} is due", names.join(", "))
        })
}

#[derive(Serialize)]
struct Answer {
    /// How many match, or would.
    matched: u64,
    /// How many were revoked by this command.
    revoked: u64,
    reason: &'static str,
    dry_run: bool,
    /// The first few of a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    examples: Vec<Example>,
    seconds: f64,
}

#[derive(Serialize)]
struct Example {
    id: String,
    serial: String,
    identifiers: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    not_after: Timestamp,
}

/// Revokes them, or says what it would revoke.
pub async fn run(store: &Store, args: &RevokeArgs, out: Output) -> Result<(), Failure> {
    if !args.dry_run && !args.yes {
        return Err(Failure::Invalid(
            "nothing was done: --dry-run shows what would be revoked, --yes does it".to_owned(),
        ));
    }
    let began = Instant::now();
    let (matched, revoked, examples) = if args.certificates.is_empty() {
        let selection = selection(args)?;
        if args.dry_run {
            look(store, &selection).await?
        } else {
            let matched = store.certificates.count(&selection).await?;
            (
                matched,
                sweep(store, &selection, matched, args.reason).await?,
                Vec::new(),
            )
        }
    } else {
        let named = named(store, &args.certificates).await?;
        let matched = named.len() as u64;
        let examples = named.iter().map(example).collect();
        let mut revoked = 0;
        for certificate in named.into_iter().filter(|_| args.yes) {
            revoked += revoke(store, &Operator::here(), certificate, args.reason).await?;
        }
        (matched, revoked, examples)
    };
    let answer = Answer {
        matched,
        revoked,
        reason: args.reason.name(),
        dry_run: args.dry_run,
        examples,
        seconds: began.elapsed().as_secs_f64(),
    };
    out.show(&answer, |sheet| {
        if !answer.dry_run {
            sheet.line(format_args!(
                "{} certificates were revoked ({}) in {:.1} s; CRLs list them within a minute",
                answer.revoked, answer.reason, answer.seconds
            ));
            return;
        }
        sheet.line(format_args!(
            "{} certificates would be revoked ({}); nothing was done",
            answer.matched, answer.reason
        ));
        let rows = answer.examples.iter().map(|one| {
            let until = moment(one.not_after);
            [one.serial.clone(), joined(&one.identifiers), until]
        });
        sheet.table(["serial", "names", "valid until"], rows);
        let more = answer.matched.saturating_sub(answer.examples.len() as u64);
        if more > 0 {
            sheet.line(format_args!("and {more} more"));
        }
    })
}

fn selection(args: &RevokeArgs) -> Result<Selection, Failure> {
    let selection = Selection {
        authority: args.authority.clone(),
        accounts: args.account.into_iter().collect(),
        name: args.name.clone(),
        issued_since: args.issued_since,
        issued_before: args.issued_before,
        valid_at: SystemClock.now(),
    };
    if selection.is_everything() {
        return Err(Failure::Invalid(
            "which certificates? Name some, or say what they have in common: --authority, --account, --name, \
             --issued-since or --issued-before; nothing was done"
                .to_owned(),
        ));
    }
    Ok(selection)
}

/// Those that are named, all of which have to be there, and valid.
async fn named(store: &Store, all: &[Which]) -> Result<Vec<Certificate>, Failure> {
    let mut found = Vec::with_capacity(all.len());
    for which in all {
        let certificate = which.find(store).await?;
        match &certificate.state {
            CertificateState::Issued { .. } => found.push(certificate),
            CertificateState::Intended { .. } => {
                let why = format!(
                    "certificate {} is not signed yet; nothing was done",
                    certificate.id
                );
                return Err(Failure::Invalid(why));
            }
            CertificateState::Revoked { at, .. } => {
                let why = format!(
                    "certificate {} was revoked at {} already; nothing was done",
                    certificate.id,
                    moment(*at)
                );
                return Err(Failure::Invalid(why));
            }
        }
    }
    Ok(found)
}

async fn look(store: &Store, selection: &Selection) -> Result<(u64, u64, Vec<Example>), Failure> {
    let matched = store.certificates.count(selection).await?;
    let first = store.certificates.select(selection).await?.take(SHOWN);
    let first: Vec<Certificate> = first.try_collect().await?;
    Ok((matched, 0, first.iter().map(example).collect()))
}

/// Revokes all that match, many at once. Gives how many it has revoked.
pub async fn sweep(
    store: &Store,
    selection: &Selection,
    of: u64,
    reason: RevocationReason,
) -> Result<u64, Failure> {
    let operator = Operator::here();
    let bar = progress(of, "certificates");
    let found = store.certificates.select(selection).await?;
    let revoking = found
        .map(|certificate| async { revoke(store, &operator, certificate?, reason).await })
        .buffer_unordered(AT_ONCE);
    let mut revoking = pin!(revoking);
    let mut revoked = 0;
    while let Some(one) = revoking.try_next().await? {
        revoked += one;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(revoked)
}

/// Revokes one, on record. Gives how many that were: none, if another did it meanwhile.
async fn revoke(
    store: &Store,
    operator: &Operator,
    mut certificate: Certificate,
    reason: RevocationReason,
) -> Result<u64, Failure> {
    loop {
        let id = certificate.id;
        let event = operator
            .event(Act::RevokeCertificate, format_args!("certificate/{id}"))
            .with_detail(format_args!(
                "serial {}, {}",
                certificate.serial,
                reason.name()
            ));
        let revoked = certificate
            .revoke(SystemClock.now(), reason)
            .map_err(|error| Failure::new(error.to_string()))?;
        let unit = store.certificates.update(&revoked)?.recording(&event)?;
        match store.commit(unit).await {
            Ok(()) => return Ok(1),
            Err(CommitError::Storage(error)) => return Err(error.into()),
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {}
        }
        // It was replaced, or revoked.
        let found = store.certificates.find(id).await?;
        match found.filter(|found| matches!(found.state, CertificateState::Issued { .. })) {
            Some(found) => certificate = found,
            None => return Ok(0),
        }
    }
}

fn example(certificate: &Certificate) -> Example {
    Example {
        id: certificate.id.to_string(),
        serial: certificate.serial.to_string(),
        identifiers: certificate
            .identifiers
            .iter()
            .map(ToString::to_string)
            .collect(),
        not_after: certificate.not_after,
    }
}
