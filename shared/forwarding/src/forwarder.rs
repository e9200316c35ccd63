//! A receiver and the way to it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certfleet_audit::Entry;
use rustls::ClientConfig;
use tokio::time::timeout;
use url::Url;
use zeroize::Zeroizing;

use crate::cef;
use crate::destination::Destination;
use crate::http::Poster;
use crate::stream;
use crate::syslog;
use certfleet_outgoing::{Trust, TrustError};

/// How an entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A syslog message (RFC 5424) that says the entry's JSON.
    Rfc5424,
    /// A syslog message (RFC 5424) that says the entry in CEF.
    Cef,
    /// The entry's JSON.
    Json,
}

/// Who receives, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where entries go.
    pub to: Destination,
    /// How they are written.
    pub format: Format,
    /// The roots that the receiver's certificate chains to, PEM; those of the system if there is none.
    pub roots: Option<PathBuf>,
    /// Our own chain and key, PEM, for a receiver that asks.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The bearer token for an HTTP receiver.
    pub token: Option<Zeroizing<String>>,
    /// How long a delivery may take.
    pub patience: Duration,
}

/// A format that does not go over this transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnfitFormat(&'static str);

/// Why entries did not arrive, as far as can be told: they may have.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The connection.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// TLS.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// HTTP.
    #[error("{}", innermost(.0))]
    Http(#[from] reqwest::Error),
    /// Another answer than 2xx.
    #[error("the receiver answered {status}: {answer}")]
    Answered {
        /// The status.
        status: u16,
        /// The beginning of what it said.
        answer: String,
    },
    /// It took too long.
    #[error("the receiver did not take it within {} s", .0.as_secs())]
    TooLate(Duration),
    /// A token that no header can hold.
    #[error("the token cannot be sent: it has other characters than visible ASCII")]
    UnfitToken,
}

/// What reqwest itself says is the URL, in which there may be a token.
fn innermost(error: &reqwest::Error) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl Format {
    /// Whether it goes there.
    ///
    /// # Errors
    /// What is due instead.
    pub fn fits(self, to: &Destination) -> Result<(), UnfitFormat> {
        match (self, to.answers()) {
            (Self::Json, false) => Err(UnfitFormat("syslog takes rfc5424 or cef")),
            (Self::Rfc5424 | Self::Cef, true) => Err(UnfitFormat("HTTP takes json")),
            _ => Ok(()),
        }
    }

    fn write(self, entry: &Entry) -> String {
        match self {
            Self::Rfc5424 => syslog::frame(entry, &entry.to_string()),
            Self::Cef => syslog::frame(entry, &cef::line(entry)),
            Self::Json => format!("{entry}\n"),
        }
    }
}

/// A receiver and the way to it.
pub struct Forwarder {
    name: String,
    format: Format,
    patience: Duration,
    way: Way,
}

enum Way {
    Syslog {
        host: String,
        port: u16,
        tls: Option<Arc<ClientConfig>>,
    },
    Http {
        url: Url,
        poster: Poster,
    },
}

impl Forwarder {
    /// Reads the files that it needs.
    ///
    /// # Errors
    /// If one cannot be read, or is not what it should be.
    pub fn new(settings: Settings) -> Result<Self, ForwardError> {
        let Settings {
            to,
            format,
            roots,
            identity,
            token,
            patience,
        } = settings;
        let name = to.to_string();
        let tls = if to.is_secure() {
            Some(Trust { roots, identity }.config()?)
        } else {
            None
        };
        let way = match to {
            Destination::Syslog { host, port, .. } => Way::Syslog {
                host,
                port,
                tls: tls.map(Arc::new),
            },
            Destination::Http(url) => Way::Http {
                url,
                poster: Poster::new(tls, token.as_ref())?,
            },
        };
        Ok(Self {
            name,
            format,
            patience,
            way,
        })
    }

    /// Where it leads, without what may be secret.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Delivers the entries, in order.
    ///
    /// # Errors
    /// If it is not known that all of them arrived. Some or all may have.
    pub async fn deliver(&self, entries: &[Entry]) -> Result<(), ForwardError> {
        let text: String = entries
            .iter()
            .map(|entry| self.format.write(entry))
            .collect();
        let delivery = async {
            match &self.way {
                Way::Syslog { host, port, tls } => {
                    stream::deliver(host, *port, tls.clone(), text.as_bytes()).await?;
                }
                Way::Http { url, poster } => poster.post(url, text).await?,
            }
            Ok(())
        };
        timeout(self.patience, delivery)
            .await
            .map_err(|_| ForwardError::TooLate(self.patience))?
    }
}
