//! What an authority suggests of a certificate (RFC 9773).

use certfleet_acme::CertId;
use certfleet_acme::messages::RenewalInfo;
use certfleet_domain::RenewalWindow;
use time::Duration;

use crate::error::UpstreamError;
use crate::server::Server;

/// What an authority suggests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advised {
    /// When to renew.
    pub window: RenewalWindow,
    /// Where people read why.
    pub explanation_url: Option<String>,
    /// When to ask again.
    pub again_in: Option<Duration>,
}

impl Server {
    /// What it suggests; `None` if it suggests nothing, or nothing that makes sense (RFC 9773 §4.2).
    ///
    /// # Errors
    /// It is away, or refuses: a certificate that it does not know is [not found](UpstreamError::is_not_found).
    pub async fn advice(&self, cert_id: &str) -> Result<Option<Advised>, UpstreamError> {
        let Some(url) = &self.directory().renewal_info else {
            return Ok(None);
        };
        // What goes into a URL has to be what it seems.
        let cert_id: CertId = cert_id.parse()?;
        let answer = self.get(&format!("{url}/{cert_id}")).await?;
        let info: RenewalInfo = answer.json()?;
        Ok(info.window().map(|window| Advised {
            window,
            explanation_url: info.explanation_url,
            again_in: answer.retry_after(),
        }))
    }
}
