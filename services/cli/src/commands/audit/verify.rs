//! Is the log what it was?

use std::path::{Path, PathBuf};

use certfleet_audit::{Checkpoint, CheckpointKey, Head};
use certfleet_storage::Store;
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::reading::{Begin, Held, read_all, unreadable};
use crate::failure::Failure;
use crate::output::Output;

/// What the log is held against.
#[derive(Debug, Default, Args)]
pub struct VerifyArgs {
    /// A checkpoint that was kept elsewhere: the log has to begin as it says. May be given several times.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// A checkpoint that was kept elsewhere: only what has come after it is read.
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// The log's public key, as `audit key` prints it, kept elsewhere. The database's own if it is not given.
    #[arg(long, value_name = "KEY")]
    key: Option<CheckpointKey>,
}

/// A log that is what it was.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// How many entries it has.
    pub entries: u64,
    /// The number of the first that is kept.
    pub begins: u64,
    /// How many of them were read.
    pub read: u64,
    /// How many signed checkpoints it met.
    pub checkpoints: usize,
    /// Documents of events that have no number yet: nothing vouches for them.
    pub without_number: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Verifies the log, and says what came of it.
pub async fn run(store: &Store, args: &VerifyArgs, out: Output) -> Result<(), Failure> {
    let answer = verify(store, args).await?;
    out.show(&answer, |sheet| {
        sheet.line(format_args!(
            "the audit trail is whole: {} entries, {} of them read in {:.1} s",
            answer.entries, answer.read, answer.seconds
        ));
        if answer.begins > 0 {
            sheet.line(format_args!(
                "those before entry {} were let go, which is signed and on record",
                answer.begins
            ));
        }
        sheet.pairs([
            ("checkpoints", format!("{} met", answer.checkpoints)),
            ("not numbered", answer.without_number.to_string()),
        ]);
    })
}

/// Verifies the log. Once more, if entries were let go meanwhile.
pub async fn verify(store: &Store, args: &VerifyArgs) -> Result<Verified, Failure> {
    loop {
        let start = async || store.audit().start().await.map_err(unreadable);
        let began = start().await?;
        let verified = verify_once(store, args).await;
        let tampered = matches!(verified, Err(Failure::Tampered(_)));
        if !tampered || start().await? == began {
            return verified;
        }
    }
}

async fn verify_once(store: &Store, args: &VerifyArgs) -> Result<Verified, Failure> {
    let clock = Instant::now();
    let audit = store.audit();
    let kept = audit.key().await?;
    let Some(key) = args.key.clone().or_else(|| kept.clone()) else {
        return nothing_yet(store, args).await;
    };
    if let Some(kept) = kept.filter(|kept| *kept != key) {
        return Err(Failure::Tampered(format!(
            "the database holds another key for the log: {kept}"
        )));
    }
    let mut outside = Vec::new();
    for path in args.checkpoint.iter().chain(&args.since) {
        outside.push(opened(path, &key)?);
    }
    let first = Begin::of_log(store, &key).await?;
    let begins = first.head.size();
    for (path, kept) in args.checkpoint.iter().chain(&args.since).zip(&outside) {
        if kept.size < begins {
            return Err(Failure::Invalid(format!(
                "{}: it is of {} entries, and the log is kept from entry {begins} on: take a later one",
                path.display(),
                kept.size
            )));
        }
    }
    let start = match (&args.since, outside.last()) {
        // The last that was opened.
        (Some(path), Some(since)) => Begin::after(start_from(store, since, path).await?),
        _ => first,
    };
    let begin = start.head.size();
    let held = Held::read(store, &key, begin).await?;
    let mut signed = held.signed;
    signed.extend(outside.into_iter().filter(|kept| kept.size > begin));
    let checkpoints = signed.len();
    let end = read_all(store, &start, signed, &held.head, |_| ()).await?;
    Ok(Verified {
        entries: end.size(),
        begins,
        read: end.size() - begin,
        checkpoints,
        without_number: audit.waiting().await?,
        seconds: clock.elapsed().as_secs_f64(),
    })
}

fn opened(path: &Path, key: &CheckpointKey) -> Result<Checkpoint, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Invalid(format!("{}: {error}", path.display())))?;
    Checkpoint::open(&text, key)
        .map_err(|error| Failure::Tampered(format!("{}: {error}", path.display())))
}

/// Where the log ended when the checkpoint was signed, as the database keeps it; the checkpoint vouches for it.
async fn start_from(store: &Store, since: &Checkpoint, path: &Path) -> Result<Head, Failure> {
    let size = since.size;
    let found = store.audit().checkpoint(size).await?;
    let head = found.map(|checkpoint| checkpoint.head);
    match head {
        Some(head) if Checkpoint::of(&since.origin, &head) == *since => Ok(head),
        Some(_) => Err(Failure::Tampered(format!(
            "{}: the database keeps another end of the log for {size} entries",
            path.display()
        ))),
        None => Err(Failure::Tampered(format!(
            "{}: the database has no checkpoint of {size} entries; verify the whole log with --checkpoint instead",
            path.display()
        ))),
    }
}

/// Nothing was ever signed: then there may be no entries, and nothing elsewhere may say that there were.
async fn nothing_yet(store: &Store, args: &VerifyArgs) -> Result<Verified, Failure> {
    let entries = store.audit().head().await?.size();
    if entries > 0 || !args.checkpoint.is_empty() || args.since.is_some() {
        let gone = "the database has no key for the log, and there were entries";
        return Err(Failure::Tampered(gone.to_owned()));
    }
    Ok(Verified {
        entries,
        begins: 0,
        read: 0,
        checkpoints: 0,
        without_number: store.audit().waiting().await?,
        seconds: 0.0,
    })
}
