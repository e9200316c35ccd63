//! Looks at which certificate is served somewhere. It believes nothing of it but that the server has its key: what was served is
//! to be compared with what should be.

mod anyone;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub use anyone::Anyone;

/// Why it is not known what is served there.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The name cannot be asked for.
    #[error("{0:?} is no name that a server can be asked for")]
    Name(String),
    /// Nobody answers.
    #[error("no connection: {0}")]
    Connection(#[source] io::Error),
    /// What answers does not speak TLS with us.
    #[error("no TLS: {0}")]
    Handshake(#[source] io::Error),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Slow(Duration),
}

/// Looks at what servers show. Clones share the settings.
#[derive(Clone)]
pub struct Prober {
    connector: TlsConnector,
    within: Duration,
}

impl Prober {
    /// One that gives each server so long, connection and handshake together.
    ///
    /// # Errors
    /// The library failed.
    pub fn new(within: Duration) -> Result<Self, rustls::Error> {
        let provider = aws_lc_rs::default_provider();
        let anyone = Anyone::new(&provider);
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(anyone))
            .with_no_client_auth();
        // A session that is taken up again shows no certificate.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            within,
        })
    }

    /// The chain that is served at a host and port to whoever asks for this name, the server's own certificate first.
    ///
    /// # Errors
    /// Nobody answers there, or not in TLS.
    pub async fn look(
        &self,
        (host, port): (&str, u16),
        name: &str,
    ) -> Result<Vec<CertificateDer<'static>>, ProbeError> {
        let server_name = ServerName::try_from(name.to_owned());
        let server_name = server_name.map_err(|_| ProbeError::Name(name.to_owned()))?;
        let looking = async {
            let stream = TcpStream::connect((host, port)).await;
            let stream = stream.map_err(ProbeError::Connection)?;
            let tls = self.connector.connect(server_name, stream).await;
            let tls = tls.map_err(ProbeError::Handshake)?;
            let (_, session) = tls.get_ref();
            let chain = session.peer_certificates().unwrap_or_default();
            Ok(chain.iter().map(|one| one.clone().into_owned()).collect())
        };
        let looked = timeout(self.within, looking).await;
        looked.map_err(|_| ProbeError::Slow(self.within))?
    }
}
