//! From settings to the database and its secrets.

use std::path::PathBuf;

use certfleet_data_kit::{KEK_ANSWERS_WITHIN, keyring, listed};
use certfleet_migrations::require_compatible;
use certfleet_service_kit::settings::{CliSettings, ServiceSettings, Source};
use certfleet_storage::{Store, Vault};
use prometheus::Registry;

use crate::failure::Failure;

/// What the server's log calls this program.
const APP_NAME: &str = "certfleet-cli";

/// The settings of this process.
pub fn settings(config: Option<PathBuf>) -> Result<CliSettings, Failure> {
    Ok(CliSettings::load(&Source::of_process(config)?)?)
}

/// The database, whatever its schema.
pub async fn any_store(settings: &CliSettings) -> Result<Store, Failure> {
    let store = certfleet_data_kit::store(&settings.database, APP_NAME, &Registry::new()).await?;
    store.ping().await.map_err(|error| {
        let uri = &settings.database.uri;
        anyhow::Error::new(error).context(format!("the database at {uri} does not answer"))
    })?;
    Ok(store)
}

/// The database, with the schema that this build knows.
pub async fn store(settings: &CliSettings) -> Result<Store, Failure> {
    let store = any_store(settings).await?;
    require_compatible(store.database()).await?;
    Ok(store)
}

/// The database that these settings lead to, for what needs no secrets.
pub async fn open(config: Option<PathBuf>) -> Result<Store, Failure> {
    store(&settings(config)?).await
}

/// The secrets; a failure unless the KEKs of all of them are at hand, so that nothing is sealed under a wrong one.
pub async fn vault(store: &Store, settings: &CliSettings) -> Result<Vault, Failure> {
    let keyring = keyring(&settings.kek, &settings.pkcs11)
        .map_err(|error| Failure::Invalid(error.to_string()))?;
    let vault = Vault::new(store, std::sync::Arc::new(keyring));
    let away = vault.keks_not_at_hand(KEK_ANSWERS_WITHIN).await?;
    if away.is_empty() {
        return Ok(vault);
    }
    Err(Failure::new(format!(
        "secrets in the database are sealed under KEKs that are not at hand: {}; nothing was done",
        listed(&away)
    )))
}
