//! TLS with a certificate that can be exchanged while connections are served.
//!
//! The cryptography is aws-lc-rs, named where it is used and installed once for the libraries that ask
//! for a default.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::client_certificates::{Believe, ClientCertificates};

/// How often certificate files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A chain or key in PEM is not one.
    #[error("{what} is not PEM: {why}")]
    NotPem {
        /// Which.
        what: &'static str,
        /// Why; no content.
        why: String,
    },
    /// Chain and key do not make a server's certificate.
    #[error("the certificate cannot be served: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Makes aws-lc-rs the cryptography of every library in this process that asks for a default.
pub fn install_crypto_provider() {
    // The error says that another came first: a test in the same process, with the same provider.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// The certificate that is served. Clones share it: set on one, it is served by all, from the next
/// handshake on. While it is empty, no handshake succeeds.
#[derive(Clone, Default)]
pub struct CertificateSlot(Arc<RwLock<Option<Arc<CertifiedKey>>>>);

impl CertificateSlot {
    /// Serves this chain, the server's own certificate first, from now on. If the key is not the
    /// certificate's, what was served before stays.
    pub fn set(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), TlsError> {
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?;
        certified.keys_match()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(certified));
        Ok(())
    }

    /// The same, from PEM text.
    pub fn set_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let not_pem = |what| {
            move |error: rustls::pki_types::pem::Error| TlsError::NotPem {
                what,
                why: error.to_string(),
            }
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(not_pem("the certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(not_pem("the key"))?;
        self.set(chain, key)
    }

    /// The certificate that is served now.
    pub fn current(&self) -> Option<CertificateDer<'static>> {
        let certified = self.get()?;
        certified.cert.first().cloned()
    }

    fn get(&self) -> Option<Arc<CertifiedKey>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for CertificateSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateSlot")
    }
}

impl ResolvesServerCert for CertificateSlot {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.get()
    }
}

/// TLS 1.2 and 1.3 with the slot's certificate, HTTP/2 before HTTP/1.1.
pub fn server_config(slot: &CertificateSlot) -> Result<Arc<ServerConfig>, TlsError> {
    config(slot, None)
}

fn config(
    slot: &CertificateSlot,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider: CryptoProvider = aws_lc_rs::default_provider();
    let builder = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(slot.clone()));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The same, asking clients for a certificate. Handlers find the chain in [`PeerCertificates`].
pub fn server_config_asking(
    slot: &CertificateSlot,
    whom: impl Believe,
) -> Result<Arc<ServerConfig>, TlsError> {
    config(slot, Some(Arc::new(ClientCertificates::new(whom))))
}

/// The chain that a client has shown, whose key it has, and that is [believed](Believe); its own certificate first.
#[derive(Debug, Clone)]
pub struct PeerCertificates(Arc<[CertificateDer<'static>]>);

impl PeerCertificates {
    pub(crate) fn of(chain: &[CertificateDer<'_>]) -> Self {
        let owned = chain.iter().map(|one| one.clone().into_owned());
        Self(owned.collect())
    }

    /// The chain.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}

/// A certificate in two PEM files.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Keeps a slot's certificate what the files say.
pub struct CertificateWatch {
    files: CertificateFiles,
    slot: CertificateSlot,
    seen: Stamp,
}

/// What changes when the files do, also by a link that is moved.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

impl CertificateFiles {
    /// Reads both into the slot. The watch is for what changes after.
    pub fn load(self, slot: CertificateSlot) -> Result<CertificateWatch, TlsError> {
        let seen = self.stamp();
        self.read_into(&slot)?;
        Ok(CertificateWatch {
            files: self,
            slot,
            seen,
        })
    }

    fn read_into(&self, slot: &CertificateSlot) -> Result<(), TlsError> {
        slot.set_pem(&read(&self.certificate)?, &read(&self.key)?)
    }

    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((
                metadata.ino(),
                metadata.len(),
                metadata.mtime(),
                metadata.mtime_nsec(),
            ))
        })
    }
}

impl CertificateWatch {
    /// Reads the files again whenever they change, and on each reload signal. A pair that cannot be
    /// served is told in the log, and what was served before stays. Ends with `shutdown`.
    pub async fn run(mut self, mut reload: watch::Receiver<u64>, shutdown: CancellationToken) {
        let mut signals = true;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {
                    if self.seen != self.files.stamp() {
                        self.read_again();
                    }
                }
                changed = reload.changed(), if signals => match changed {
                    Ok(()) => self.read_again(),
                    Err(_) => signals = false,
                }
            }
        }
    }

    fn read_again(&mut self) {
        self.seen = self.files.stamp();
        let certificate = self.files.certificate.display();
        match self.files.read_into(&self.slot) {
            Ok(()) => tracing::info!(%certificate, "certificate read again"),
            Err(error) => {
                tracing::warn!(%certificate, %error, "the former certificate stays");
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
