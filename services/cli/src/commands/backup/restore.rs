//! A backup is put back.

use std::path::PathBuf;

use certfleet_audit::Act;
use certfleet_backup::{Onto, restore};
use certfleet_data_kit::{KEK_ANSWERS_WITHIN, keyring};
use certfleet_storage::Vault;
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use crate::connection::{any_store, settings};
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, progress};

/// Which backup, and onto what.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup.
    file: PathBuf,
    /// Drop what is in the database before. All services have to be stopped.
    #[arg(long)]
    replace: bool,
}

#[derive(Serialize)]
struct Restored {
    documents: u64,
    seconds: f64,
    /// KEKs that secrets are sealed under, and that these settings do not have.
    missing_keks: Vec<String>,
}

/// Checks every digest, then puts it back.
pub async fn run(args: &RestoreArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let settings = settings(config)?;
    let keyring = keyring(&settings.kek, &settings.pkcs11).ok();
    let began = Instant::now();
    let manifest = super::check::whole(&args.file).await?;
    let store = any_store(&settings).await?;
    let onto = if args.replace {
        Onto::Anything
    } else {
        Onto::Empty
    };
    let bar = progress(manifest.documents(), "documents");
    let act = Operator::here()
        .event(
            Act::RestoreBackup,
            format_args!("database/{}", manifest.database),
        )
        .with_detail(format_args!("of {}", manifest.created_at));
    restore(&store, &args.file, &manifest, onto, &act, |there| {
        bar.set_position(there);
    })
    .await?;
    bar.finish_and_clear();
    let missing_keks = match keyring {
        Some(keyring) => {
            let away = Vault::new(&store, keyring.into())
                .keks_not_at_hand(KEK_ANSWERS_WITHIN)
                .await?;
            away.into_iter().map(|away| away.kek).collect()
        }
        None => manifest.keks.clone(),
    };
    let restored = Restored {
        documents: manifest.documents(),
        seconds: began.elapsed().as_secs_f64(),
        missing_keks,
    };
    out.show(&restored, |sheet| {
        sheet.line(format_args!(
            "{} documents are back, in {:.1} s",
            restored.documents, restored.seconds
        ));
        if !restored.missing_keks.is_empty() {
            sheet.line(format_args!(
                "secrets are sealed under KEKs that these settings do not have: {}. Services will not be ready without them",
                restored.missing_keks.join(", ")
            ));
        }
    })
}
