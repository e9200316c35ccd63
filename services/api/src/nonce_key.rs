//! The key that nonces are minted with: made once, sealed, the same on every replica.

use certfleet_acme::{NonceKey, NonceKeys};
use certfleet_domain::SystemRng;
use certfleet_secrets::{Purpose, Secret};
use certfleet_storage::{SecretName, Store, Vault};
use rand::RngCore;

/// The id that nonces of the key carry.
const ID: u8 = 1;
const NAME: SecretName = SecretName::NonceKey(ID);

/// The cluster's nonce keys. The first replica ever to ask makes the key; of several at once, one does.
pub async fn load(store: &Store, vault: &Vault) -> anyhow::Result<NonceKeys> {
    let secret = match vault.open(&NAME, Purpose::MintNonces).await? {
        Some(secret) => secret,
        None => make(store, vault).await?,
    };
    let octets: &[u8; 32] = secret
        .expose()
        .try_into()
        .map_err(|_| anyhow::anyhow!("secret {NAME}: 32 octets are due"))?;
    Ok(NonceKeys::new(NonceKey::new(ID, octets), Vec::new())?)
}

async fn make(store: &Store, vault: &Vault) -> anyhow::Result<Secret> {
    let mut octets = vec![0; 32];
    SystemRng.fill_bytes(&mut octets);
    let unit = vault
        .insert(&NAME, &Secret::new(octets), &mut SystemRng)
        .await?;
    match store.commit(unit).await {
        Ok(()) => tracing::info!("made the key that nonces are minted with"),
        Err(error) if error.is_conflict() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(vault.require(&NAME, Purpose::MintNonces).await?)
}
