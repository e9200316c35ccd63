//! Client certificates, checked against whom Kubernetes says to believe at this moment.

use std::sync::Arc;

use certfleet_service_kit::Believe;
use rustls::Error;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;

use crate::front_proxy::Trusted;

/// Whom to believe, as of now; nobody until the cluster's API server has said so.
pub type TrustedNow = watch::Receiver<Option<Arc<Trusted>>>;

/// Believes whom [`Trusted`] names. Those who show no certificate have to show a token.
pub struct ByTrusted(pub TrustedNow);

impl Believe for ByTrusted {
    fn believe(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let trusted = self.0.borrow().clone();
        let nobody = || Error::General("whom to believe is not known yet".to_owned());
        trusted.ok_or_else(nobody)?.verify(chain, now)
    }
}
