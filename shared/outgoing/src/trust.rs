//! Whom a sender trusts over TLS, and who it is itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Whom to trust, and who one is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The roots, PEM; those of the system if there is none.
    pub roots: Option<PathBuf>,
    /// One's own chain and key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why; no content.
        why: String,
    },
    /// What is to be trusted is no certificate.
    #[error("the roots to trust: {0}")]
    Roots(String),
    /// There are no roots.
    #[error("the system has no root certificates: a CA file of its own is due in the settings")]
    NoRoots,
    /// They do not fit together.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl Trust {
    /// For TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// A file cannot be read, or there is nobody to trust.
    pub fn config(&self) -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots()?);
        let Some((certificate, key)) = &self.identity else {
            return Ok(config.with_no_client_auth());
        };
        let chain = certificates(certificate)?;
        let key_text = read(key)?;
        let key = PrivateKeyDer::from_pem_slice(&key_text).map_err(|why| wrong(key, &why))?;
        Ok(config.with_client_auth_cert(chain, key)?)
    }

    /// For TLS 1.2 and 1.3, trusting these roots alone, PEM.
    ///
    /// # Errors
    /// There is none among them, or one that is no certificate.
    pub fn only(roots: &str) -> Result<ClientConfig, TrustError> {
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
            store.add(root.map_err(|why| TrustError::Roots(why.to_string()))?)?;
        }
        if store.is_empty() {
            return Err(TrustError::Roots(
                "there is no certificate in it".to_owned(),
            ));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth())
    }

    /// For calls that are not to be encrypted, and that never trust anybody.
    ///
    /// # Errors
    /// The library failed.
    pub fn nobody() -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth())
    }

    fn roots(&self) -> Result<RootCertStore, TrustError> {
        let mut roots = RootCertStore::empty();
        match &self.roots {
            Some(path) => {
                for root in certificates(path)? {
                    roots.add(root)?;
                }
            }
            // What of the system's cannot be read is passed over, as everybody does.
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            Err(TrustError::NoRoots)
        } else {
            Ok(roots)
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let text = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|why| wrong(path, &why))?;
    if found.is_empty() {
        Err(wrong(path, &"there is no certificate in it"))
    } else {
        Ok(found)
    }
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, TrustError> {
    let text = fs::read(path).map_err(|why| wrong(path, &why))?;
    Ok(zeroize::Zeroizing::new(text))
}

fn wrong(path: &Path, why: &impl ToString) -> TrustError {
    TrustError::File {
        path: path.to_owned(),
        why: why.to_string(),
    }
}
