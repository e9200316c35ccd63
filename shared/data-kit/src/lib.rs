//! The database and the secrets of a service: opened, checked, told to the probes.
//!
//! What `certfleet-service-kit` is for the process, this is for its data. A service that [`open`]s gets a store whose
//! schema it knows and secrets that it can open; until it does, its `/readyz` says what is missing, and it writes
//! nothing.

mod authorities;
mod checks;
mod keyring;
mod local_audit;
mod pool_gauges;
mod pressure;
mod registration;
mod switches;
mod totals;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use certfleet_domain::ServerId;
use certfleet_migrations::require_compatible;
use certfleet_service_kit::Health;
use certfleet_service_kit::settings::{Audit, Database, Kek, Pkcs11};
use certfleet_storage::{ConnectSettings, Metrics, NotAtHand, Store, Vault};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

pub use authorities::Authorities;
pub use checks::{
    check_authorities, check_crls, check_database, check_keks, check_queue,
    condition_of_authorities, condition_of_crls, condition_of_database, condition_of_queue,
};
pub use keyring::{KeyringError, keyring, tokens};
pub use local_audit::{LocalAudit, LocalAuditError};
pub use pressure::{Pressed, Pressure, PressureGuard};
pub use registration::{Registration, register};
pub use switches::{check_switches, condition_of_switches, watch_switches};
pub use totals::tell_totals;

use crate::pool_gauges::register_pool;

/// How often a service that waits for its database or its KEK looks again.
const LOOK: Duration = Duration::from_secs(1);

/// A KEK that needs longer to answer is away: where nobody waits for the answer but who has started this process.
pub const KEK_ANSWERS_WITHIN: Duration = Duration::from_secs(15);

/// A store over the database of the settings; nothing is connected yet.
pub async fn store(
    settings: &Database,
    app_name: &str,
    registry: &Registry,
) -> anyhow::Result<Store> {
    let connect = ConnectSettings {
        uri: settings.uri.expose().to_owned(),
        database: settings.name.clone(),
        max_pool_size: settings.max_pool_size,
        connect_timeout: settings.connect_timeout,
        server_selection_timeout: settings.server_selection_timeout,
        heartbeat: settings.heartbeat,
        app_name: app_name.to_owned(),
    };
    let metrics = Metrics::register(registry)?;
    let store = Store::connect(&connect, metrics)
        .await
        .context("database.uri")?;
    register_pool(store.pool(), registry)?;
    Ok(store)
}

/// Keeps each act that this process puts on record in a file of its own, where the settings name one.
pub fn keep_local_audit(store: &Store, settings: &Audit, server: ServerId) -> anyhow::Result<()> {
    if let Some(file) = &settings.file {
        store.witnessed_by(Arc::new(LocalAudit::open(file, server)?));
    }
    Ok(())
}

/// The secrets of the store, under the KEKs of the settings.
pub fn vault(store: &Store, settings: &Kek, tokens: &Pkcs11) -> anyhow::Result<Vault> {
    Ok(Vault::new(store, Arc::new(keyring(settings, tokens)?)))
}

/// Registers the database with the probes, waits until it answers, and makes sure that its schema is known.
///
/// `None` if `shutdown` came first.
///
/// # Errors
/// A schema that this build does not know, or one that lacks a step: waiting does not mend it.
pub async fn await_database(
    store: &Store,
    health: &Health,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<()>> {
    check_database(store, health);
    loop {
        match store.ping().await {
            Ok(()) => break,
            Err(error) => tracing::warn!(%error, "waiting for the database"),
        }
        if pause(shutdown).await.is_none() {
            return Ok(None);
        }
    }
    require_compatible(store.database()).await?;
    Ok(Some(()))
}

/// Registers the KEKs with the probes, and waits until all that secrets are sealed under are at hand.
///
/// `None` if `shutdown` came first.
pub async fn await_keks(
    vault: &Vault,
    health: &Health,
    shutdown: &CancellationToken,
) -> Option<()> {
    check_keks(vault, health);
    loop {
        match vault.keks_not_at_hand(KEK_ANSWERS_WITHIN).await {
            Ok(none) if none.is_empty() => return Some(()),
            Ok(keks) => tracing::error!(
                keks = listed(&keks),
                "KEKs that secrets are sealed under are not at hand"
            ),
            Err(error) => tracing::warn!(%error, "waiting for the database"),
        }
        pause(shutdown).await?;
    }
}

/// The KEKs with why each is not at hand, on one line.
pub fn listed(keks: &[NotAtHand]) -> String {
    let each: Vec<_> = keks.iter().map(ToString::to_string).collect();
    each.join(", ")
}

async fn pause(shutdown: &CancellationToken) -> Option<()> {
    shutdown.run_until_cancelled(tokio::time::sleep(LOOK)).await
}
