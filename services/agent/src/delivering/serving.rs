//! Whether what was delivered is served.

use std::time::Duration;

use certfleet_agent_protocol::Item;
use certfleet_tls_probe::Prober;
use futures_util::stream::{self, StreamExt as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::time::{Instant, sleep};

/// How long a server may take for one look.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait between two looks at the same server, which may be loading yet.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// So many servers are looked at at the same time.
const AT_ONCE: usize = 16;

/// Looks at what is served.
pub struct Serving {
    prober: Prober,
    within: Duration,
}

impl Serving {
    /// One that gives servers so long to take up what is new.
    pub fn new(within: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            prober: Prober::new(LOOK_WITHIN)?,
            within,
        })
    }

    /// Of each, in their order: whether it was seen to be served. `false` where there is nothing to look at, an error where
    /// something else is served until the time is over.
    pub async fn look(&self, items: &[Item]) -> Vec<Result<bool, String>> {
        let until = Instant::now() + self.within;
        stream::iter(items)
            .map(|item| self.look_for(item, until))
            .buffered(AT_ONCE)
            .collect()
            .await
    }

    async fn look_for(&self, item: &Item, until: Instant) -> Result<bool, String> {
        let Some(probe) = &item.probe else {
            return Ok(false);
        };
        let due = CertificateDer::from_pem_slice(item.chain.as_bytes())
            .map_err(|error| format!("the chain is none: {error}"))?;
        let name = &item.served_name;
        loop {
            let at = (probe.host(), probe.port());
            let why = match self.prober.look(at, name).await {
                Ok(chain) if chain.first() == Some(&due) => return Ok(true),
                Ok(_) => "another certificate is served".to_owned(),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= until {
                return Err(format!("{probe}, asked for {name}: {why}"));
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}
