//! The key that nonces are minted with: made once, sealed, the same on every replica.

use certfleet_acme::{NonceKey, NonceKeys};
use certfleet_audit::Sender;
use certfleet_domain::{Clock, ServerId, SystemRng};
use certfleet_secrets::{Purpose, Secret};
use certfleet_storage::{SecretName, Vault};
use rand::RngCore;

/// The id that nonces of the key carry.
const ID: u8 = 1;
const NAME: SecretName = SecretName::NonceKey(ID);

/// The cluster's nonce keys. The first replica ever to ask makes the key; of several at once, one does.
pub async fn load(vault: &Vault, clock: &dyn Clock, server: ServerId) -> anyhow::Result<NonceKeys> {
    let secret = if let Some(secret) = vault.open(&NAME, Purpose::MintNonces).await? {
        secret
    } else {
        let (secret, purpose) = (random_octets(), Purpose::MintNonces);
        let sender = Sender::service(server, "api");
        vault.make(&NAME, purpose, &secret, &sender, clock).await?
    };
    let octets: &[u8; 32] = secret
        .expose()
        .try_into()
        .map_err(|_| anyhow::anyhow!("secret {NAME}: 32 octets are due"))?;
    Ok(NonceKeys::new(NonceKey::new(ID, octets), Vec::new())?)
}

fn random_octets() -> Secret {
    let mut octets = vec![0; 32];
    SystemRng.fill_bytes(&mut octets);
    Secret::new(octets)
}
