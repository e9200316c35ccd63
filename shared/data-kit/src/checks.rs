//! What the probes ask of the data.

use certfleet_service_kit::{Condition, Health, Importance};
use certfleet_storage::{POOL, Store, Vault};

/// The database, as a critical part.
pub fn check_database(store: &Store, health: &Health) {
    let store = store.clone();
    health.register("database", Importance::Critical, move || {
        let store = store.clone();
        async move {
            match store.ping().await {
                Ok(()) => {
                    let (open, in_use, waiting) = (POOL.open(), POOL.in_use(), POOL.waiting());
                    Condition::ok_with(format!(
                        "connections: {open} open, {in_use} in use, {waiting} waited for"
                    ))
                }
                Err(error) => Condition::bad(format!("it does not answer: {error}")),
            }
        }
    });
}

/// The KEKs, as a critical part.
pub fn check_keks(vault: &Vault, health: &Health) {
    let vault = vault.clone();
    health.register("kek", Importance::Critical, move || {
        let vault = vault.clone();
        async move {
            match vault.missing_keks().await {
                Ok(missing) if missing.is_empty() => Condition::ok(),
                Ok(missing) => Condition::bad(format!(
                    "secrets are sealed under KEKs that are not at hand: {}",
                    missing.join(", ")
                )),
                Err(error) => Condition::bad(format!("which KEKs are due is not known: {error}")),
            }
        }
    });
}
