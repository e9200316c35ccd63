//! A key is taken away, with what it led to.

use std::path::PathBuf;

use certfleet_audit::Act;
use certfleet_domain::{
    Account, AccountStatus, Clock as _, EabKey, EabKeyId, EabKeyState, RevocationReason,
    SystemClock,
};
use certfleet_storage::{CommitError, Selection, Store};
use clap::Args;
use serde::Serialize;

use crate::commands::cert::revoke::{parse_reason, sweep};
use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

const AFTER_HELP: &str = "\
The key binds no more accounts at once; then its accounts are taken away, then their certificates. A command that was
interrupted can be given again: it goes on with what is left.";

/// Which key, and how far it goes.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct RevokeArgs {
    /// The key's identifier.
    key: EabKeyId,
    /// Revoke the certificates of its accounts as well.
    #[arg(long)]
    certificates: bool,
    /// Why they are revoked: unspecified, keyCompromise, affiliationChanged, superseded or cessationOfOperation.
    #[arg(long, value_name = "REASON", default_value = "unspecified", requires = "certificates", value_parser = parse_reason)]
    reason: RevocationReason,
    /// Show how far it would go, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    key: String,
    /// How many accounts were, or would be, taken away.
    accounts: u64,
    /// How many certificates were, or would be, revoked.
    certificates: u64,
    dry_run: bool,
}

/// Takes a key away.
pub async fn run(args: &RevokeArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let store = open(config).await?;
    let operator = Operator::here();
    let found = store.eab_keys.find(args.key).await?;
    let key = found.ok_or_else(|| Failure::not_found("key", args.key))?;
    if !args.dry_run {
        close(&store, &operator, key).await?;
    }
    // From here on it has bound all that it ever will.
    let bound = store.accounts.bound_by(args.key).await?;
    let mut accounts = 0;
    for account in bound.iter().filter(|account| is_valid(account)) {
        accounts += if args.dry_run {
            1
        } else {
            revoke(&store, &operator, account.clone()).await?
        };
    }
    let mut certificates = 0;
    if args.certificates && !bound.is_empty() {
        let theirs = Selection {
            authority: None,
            accounts: bound.iter().map(|account| account.id).collect(),
            name: None,
            issued_since: None,
            issued_before: None,
            valid_at: SystemClock.now(),
        };
        let matched = store.certificates.count(&theirs).await?;
        certificates = if args.dry_run {
            matched
        } else {
            sweep(&store, &theirs, matched, args.reason).await?
        };
    }
    let answer = Answer {
        key: args.key.to_string(),
        accounts,
        certificates,
        dry_run: args.dry_run,
    };
    out.show(&answer, |sheet| {
        let verb = if answer.dry_run { "would be" } else { "were" };
        sheet.line(format_args!(
            "key {} {}; {accounts} accounts {verb} taken away, {certificates} certificates {verb} revoked",
            answer.key,
            if answer.dry_run { "stays as it is" } else { "is revoked" },
        ));
    })
}

fn is_valid(account: &Account) -> bool {
    account.status == AccountStatus::Valid
}

/// The key binds no more.
async fn close(store: &Store, operator: &Operator, mut key: EabKey) -> Result<(), Failure> {
    let id = key.id;
    while key.state == EabKeyState::Active {
        let event = operator.event(Act::RevokeEabKey, format_args!("eab-key/{id}"));
        let revoked = key.revoke(SystemClock.now())?;
        let unit = store.eab_keys.update(&revoked)?.recording(&event)?;
        match store.commit(unit).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Storage(error)) => return Err(error.into()),
            // It was used meanwhile, or revoked.
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {
                let found = store.eab_keys.find(id).await?;
                key = found.ok_or_else(|| Failure::not_found("key", id))?;
            }
        }
    }
    Ok(())
}

/// An account may not be used any more. Gives how many that were: none, if it was given up meanwhile.
async fn revoke(store: &Store, operator: &Operator, account: Account) -> Result<u64, Failure> {
    let id = account.id;
    let mut found = Some(account);
    while let Some(account) = found.filter(is_valid) {
        let event = operator.event(Act::RevokeAccount, format_args!("account/{id}"));
        let unit = store.accounts.update(&account.revoke()?)?;
        match store.commit(unit.recording(&event)?).await {
            Ok(()) => return Ok(1),
            Err(CommitError::Storage(error)) => return Err(error.into()),
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {
                found = store.accounts.find(id).await?;
            }
        }
    }
    Ok(0)
}
