//! The certificate that the API itself shows, where it is a managed one: the same on every replica, kept sealed in the
//! database, made and renewed by a worker when a replica finds it missing or two thirds through its life.

use std::time::Duration;

use anyhow::Context as _;
use certfleet_domain::{AuthorityName, Clock, Identifier, Timestamp};
use certfleet_jobs::Job;
use certfleet_pki::{certificates_from_pem, validity_of_certificate};
use certfleet_secrets::{Purpose, Secret};
use certfleet_service_kit::tls::CertificateSlot;
use certfleet_storage::{SecretName, Store, Vault};
use tokio_util::sync::CancellationToken;

/// The longest until a replica looks again whether there is a new one, or one is due.
const LOOK: Duration = Duration::from_secs(60);
/// How often it looks for one that it has asked for.
const LOOK_FOR_NEXT: Duration = Duration::from_secs(1);
/// How often it looks while there is none to serve.
const LOOK_FOR_FIRST: Duration = Duration::from_millis(200);

/// The certificate that the API itself shows.
pub struct ServerCertificate {
    /// The database.
    pub store: Store,
    /// The secrets.
    pub vault: Vault,
    /// The authority that signs it.
    pub authority: AuthorityName,
    /// The names it is for.
    pub names: Vec<Identifier>,
    /// Where it is served from.
    pub slot: CertificateSlot,
}

impl ServerCertificate {
    /// Waits until there is a certificate to serve; asks for one if there is none. `None` if `shutdown` came first.
    pub async fn await_first(
        &self,
        clock: &dyn Clock,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Option<()>> {
        loop {
            let look = self.look(clock);
            match shutdown.run_until_cancelled(look).await {
                None => return Ok(None),
                Some(result) => drop(result?),
            }
            if self.slot.current().is_some() {
                return Ok(Some(()));
            }
            let pause = tokio::time::sleep(LOOK_FOR_FIRST);
            if shutdown.run_until_cancelled(pause).await.is_none() {
                return Ok(None);
            }
        }
    }

    /// Serves what is new and asks for what is due, for as long as the process lives.
    pub async fn keep(self, clock: std::sync::Arc<dyn Clock>) {
        loop {
            let pause = self.look(clock.as_ref()).await.unwrap_or_else(|error| {
                tracing::warn!("the API's certificate: {error:#}");
                LOOK
            });
            tokio::time::sleep(pause).await;
        }
    }

    /// Serves what is stored, and asks for what is due; gives how long it is until there is something to do.
    async fn look(&self, clock: &dyn Clock) -> anyhow::Result<Duration> {
        let name = SecretName::ServerCertificate(self.authority.clone());
        let Some(bundle) = self.vault.open(&name, Purpose::ServeTls).await? else {
            self.ask(0).await?;
            return Ok(LOOK_FOR_NEXT);
        };
        let (not_before, not_after) = self.serve(&bundle).with_context(|| name.to_string())?;
        let renew_at = not_after - (not_after - not_before) / 3;
        match Duration::try_from(renew_at - clock.now()) {
            Ok(until_due) if !until_due.is_zero() => Ok(until_due.min(LOOK)),
            _ => {
                self.ask(not_after.unix_timestamp()).await?;
                Ok(LOOK_FOR_NEXT)
            }
        }
    }

    /// Serves the bundle, unless it is served already; gives its validity.
    fn serve(&self, bundle: &Secret) -> anyhow::Result<(Timestamp, Timestamp)> {
        let pem = std::str::from_utf8(bundle.expose())?;
        // The key stands before the chain.
        let chain = pem
            .find("-----BEGIN CERTIFICATE-----")
            .and_then(|start| pem.get(start..))
            .context("it has no certificate")?;
        let chain = certificates_from_pem(chain)?;
        let leaf = chain.first().context("it has no certificate")?;
        if self.slot.current().as_deref() != Some(leaf.as_slice()) {
            self.slot.set_pem(bundle.expose(), bundle.expose())?;
            tracing::info!("serving another certificate from here on");
        }
        Ok(validity_of_certificate(leaf)?)
    }

    async fn ask(&self, replacing: i64) -> anyhow::Result<()> {
        let job = Job::IssueServerCertificate {
            authority: self.authority.clone(),
            names: self.names.clone(),
            replacing,
        };
        Ok(self.store.jobs.ensure(&job).await?)
    }
}
