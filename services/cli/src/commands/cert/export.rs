//! The current chain and its key, as files.

use std::path::PathBuf;

use certfleet_audit::Act;
use certfleet_domain::ManagedId;
use certfleet_secrets::Purpose;
use certfleet_signer::InternalKey;
use certfleet_storage::{SecretName, Unit};
use clap::Args;
use serde::Serialize;
use zeroize::Zeroizing;

use super::find;
use crate::connection::{settings, store, vault};
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;
use crate::up::write_file;

/// Which, and where to.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The managed certificate.
    id: ManagedId,
    /// Write the chain into this file, PEM.
    #[arg(long, value_name = "FILE")]
    chain: PathBuf,
    /// Write the key into this file, PKCS#8 in PEM, for its owner alone to read.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Serialize)]
struct Exported {
    id: String,
    version: String,
    chain: PathBuf,
    key: PathBuf,
}

/// Writes them, on record.
pub async fn run(args: &ExportArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let settings = settings(config)?;
    let store = store(&settings).await?;
    let managed = find(&store, args.id).await?;
    let none = || Failure::new(format!("{} has no certificate yet", args.id));
    let current = managed.current.ok_or_else(none)?;
    let version = store.fleet.version(current.version).await?;
    let version = version.ok_or_else(|| Failure::not_found("version", current.version))?;
    let vault = vault(&store, &settings).await?;
    let name = SecretName::ManagedKey(version.id);
    let kept = vault.require(&name, Purpose::Export).await?;
    let key = InternalKey::from_pkcs8_der(&Zeroizing::new(kept.expose().to_vec()))?;
    let event = Operator::here()
        .event(Act::ExportManaged, format_args!("managed/{}", args.id))
        .with_detail(format_args!("version {}", version.id));
    // On record before it is out.
    store
        .commit(Unit::default().recording(&event)?)
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    write_file(&args.key, &key.to_pkcs8_pem()?, 0o600)?;
    write_file(&args.chain, &version.chain, 0o644)?;
    let exported = Exported {
        id: args.id.to_string(),
        version: version.id.to_string(),
        chain: args.chain.clone(),
        key: args.key.clone(),
    };
    out.show(&exported, |sheet| {
        sheet.pairs([
            ("chain", exported.chain.display().to_string()),
            ("key", exported.key.display().to_string()),
        ]);
    })
}
