//! The KEKs that the settings name.

use std::sync::Arc;

use certfleet_kek::{Access, AwsAccess, KekOpenError, VaultAccess, open};
use certfleet_pkcs11::TokenAccess;
use certfleet_secrets::{
    DuplicateKek, KekProvider, KekSource, KekSourceError, Keyring, read_kek_value,
};
use certfleet_service_kit::settings::{Kek, Pkcs11};

/// Why there is no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// No key is given.
    #[error("kek.file, kek.value or kek.key is required")]
    NoKek,
    /// The value is no key.
    #[error(transparent)]
    Value(#[from] KekSourceError),
    /// A key cannot be had.
    #[error(transparent)]
    Open(#[from] KekOpenError),
    /// The same key is given twice.
    #[error(transparent)]
    Duplicate(#[from] DuplicateKek),
}

/// How tokens are reached, if the settings say so.
pub fn tokens(settings: &Pkcs11) -> Option<TokenAccess> {
    Some(TokenAccess {
        module: settings.module.clone()?,
        pin_file: settings.pin_file.clone(),
    })
}

/// The KEKs that the settings name, the first to seal first.
///
/// # Errors
/// One cannot be read, or named; one that is away is no error.
pub fn keyring(settings: &Kek, pkcs11: &Pkcs11) -> Result<Keyring, KeyringError> {
    let access = Access {
        tokens: tokens(pkcs11),
        vault: VaultAccess {
            token_file: settings.vault_token_file.clone(),
            ca_file: settings.vault_ca_file.clone(),
            namespace: settings.vault_namespace.clone(),
        },
        aws: AwsAccess {
            endpoint: settings.aws_endpoint.clone(),
        },
    };
    let current: Arc<dyn KekProvider> = match (&settings.file, &settings.value, &settings.key) {
        (Some(path), ..) => open(&KekSource::File(path.clone()), &access)?,
        (_, Some(value), _) => Arc::new(read_kek_value(value.expose())?),
        (.., Some(source)) => open(source, &access)?,
        (None, None, None) => return Err(KeyringError::NoKek),
    };
    let former = settings.previous_files.iter().cloned();
    let others = former
        .map(KekSource::File)
        .chain(settings.others.iter().cloned())
        .map(|source| open(&source, &access))
        .collect::<Result<_, _>>()?;
    Ok(Keyring::new(current, others)?)
}
