//! From where a KEK is to the KEK.

use std::sync::Arc;

use certfleet_outgoing::TrustError;
use certfleet_pkcs11::{TokenAccess, TokenKek};
use certfleet_secrets::{
    InvalidKekId, KekProvider, KekSource, KekSourceError, read_kek_file, read_kek_value,
};
use zeroize::Zeroizing;

use crate::aws::{AwsAccess, AwsKek};
use crate::vault::{VaultAccess, VaultKek};

/// How the places are reached that are not this machine's own.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// PKCS#11 tokens.
    pub tokens: Option<TokenAccess>,
    /// Vault or OpenBao.
    pub vault: VaultAccess,
    /// AWS KMS.
    pub aws: AwsAccess,
}

/// Why there is no KEK.
#[derive(Debug, thiserror::Error)]
pub enum KekOpenError {
    /// A variable that is to hold one is not set.
    #[error("the variable {0}, which is to hold a KEK, is not set, or is no text")]
    NoVariable(String),
    /// What is there is no key.
    #[error(transparent)]
    Source(#[from] KekSourceError),
    /// It cannot be named.
    #[error("{place} cannot be the name of a KEK: {source}")]
    Name {
        /// What was to be its name.
        place: String,
        /// Why not.
        source: InvalidKekId,
    },
    /// Its region has no address.
    #[error("{0} is in no region")]
    Region(String),
    /// Nothing says how tokens are reached.
    #[error("a KEK in a PKCS#11 token is named, and pkcs11.module is not given")]
    NoModule,
    /// Nothing says who this process is to Vault.
    #[error("a KEK in Vault is named, and kek.vault_token_file is not given")]
    NoVaultToken,
    /// The server cannot be trusted.
    #[error("kek.vault_ca_file: {0}")]
    Trust(#[from] TrustError),
    /// There is no client for it.
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Opens the KEK. A file and a variable are read; all else is asked when it is used.
///
/// # Errors
/// What was read is no key, or something is not given.
pub fn open(source: &KekSource, access: &Access) -> Result<Arc<dyn KekProvider>, KekOpenError> {
    match source {
        KekSource::File(path) => Ok(Arc::new(read_kek_file(path)?)),
        KekSource::Environment(name) => {
            let value = std::env::var(name).map(Zeroizing::new);
            let value = value.map_err(|_| KekOpenError::NoVariable(name.clone()))?;
            Ok(Arc::new(read_kek_value(&value)?))
        }
        KekSource::Token(uri) => {
            let tokens = access.tokens.as_ref().ok_or(KekOpenError::NoModule)?;
            let unfit = |source| KekOpenError::Name {
                place: uri.to_string(),
                source,
            };
            Ok(Arc::new(TokenKek::new(tokens, uri).map_err(unfit)?))
        }
        KekSource::Transit(key) => Ok(Arc::new(VaultKek::new(key, &access.vault)?)),
        KekSource::AwsKms(key) => Ok(Arc::new(AwsKek::new(key, &access.aws)?)),
    }
}
