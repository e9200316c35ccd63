//! Signs the CRLs that are due: those of which half the time is over, those that are not there yet, and those that a
//! revoked certificate is missing in.
//!
//! A list is written only in place of the one that was there before its certificates were read. So one that was held up in
//! between, as by a paused worker, takes no certificate off the list again; and what is noted as listed was read before
//! that as well.

use std::collections::BTreeSet;
use std::time::Duration as Time;

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{CrlShard, Issuer};
use certfleet_jobs::Lease;
use certfleet_pki::validity_of_certificate;
use certfleet_storage::{CommitError, Unit};
use futures_util::{StreamExt as _, stream};
use time::Duration;
use tokio::time::Instant;

use super::{HandlerError, Handlers};

/// A run goes on for so long: the next is due then, and goes on where this one was.
const RUN: Time = Time::from_secs(9);
/// How many lists are built at once.
const AT_ONCE: usize = 4;
/// For so long a certificate stays listed beyond its end: one list at least has to show it then (RFC 5280 §3.3).
const BEYOND_THE_END: Duration = Duration::days(11);

impl Handlers {
    pub(super) async fn publish_crls(&self, lease: &Lease) -> Result<(), HandlerError> {
        if self.revoking.urls.is_none() {
            return self.finish(lease, Unit::default()).await;
        }
        let until = Instant::now() + RUN;
        let mut built = 0_u64;
        let mut trouble = None;
        for authority in self.store.authorities.all().await? {
            for issuer in authority.issuers() {
                let (lists, failed) = self.publish_due(issuer, until).await;
                built += lists;
                if let Some(error) = failed {
                    tracing::error!(authority = %authority.name, issuer = %issuer.id, %error, "a CRL is not signed");
                    trouble = Some(error);
                }
            }
        }
        if built > 0 {
            tracing::info!(crls = built, "published");
        }
        self.metrics.crls_published(built);
        match trouble {
            None => self.finish(lease, Unit::default()).await,
            Some(error) => Err(error),
        }
    }

    /// What is due of an issuer's. One list that cannot be signed holds up no other: gives how many were, and the last trouble.
    async fn publish_due(&self, issuer: &Issuer, until: Instant) -> (u64, Option<HandlerError>) {
        let due = match self.crls_due(issuer).await {
            Ok(due) => due,
            Err(error) => return (0, Some(error)),
        };
        let mut lists = stream::iter(due)
            .take_while(|_| std::future::ready(Instant::now() < until))
            .map(|shard| self.publish_crl(issuer, shard))
            .buffer_unordered(AT_ONCE);
        let (mut built, mut trouble) = (0, None);
        while let Some(list) = lists.next().await {
            match list {
                Ok(one) => built += one,
                Err(error) => trouble = Some(error),
            }
        }
        (built, trouble)
    }

    /// Those that are due, what was built the longest ago first: while more is revoked than a run can list, each has its turn.
    async fn crls_due(&self, issuer: &Issuer) -> Result<Vec<CrlShard>, HandlerError> {
        let now = self.clock.now();
        let validity = validity_of_certificate(&issuer.certificate);
        let (_, end) = validity.map_err(|error| HandlerError::Passing(error.to_string()))?;
        // Nobody goes by what one says that is over.
        if end <= now {
            return Ok(Vec::new());
        }
        let to_list = self.store.certificates.shards_to_list(issuer.id).await?;
        let by_age = self.store.crls.by_age(issuer.id).await?;
        let built: BTreeSet<CrlShard> = by_age.iter().map(|(_, shard)| *shard).collect();
        let missing = CrlShard::all().filter(|shard| !built.contains(shard));
        let due = by_age
            .into_iter()
            .filter(|(renew_at, shard)| *renew_at <= now || to_list.contains(shard))
            .map(|(_, shard)| shard);
        Ok(missing.chain(due).collect())
    }

    /// Gives how many were built: one, or none if another was faster.
    async fn publish_crl(&self, issuer: &Issuer, shard: CrlShard) -> Result<u64, HandlerError> {
        let (crls, certificates) = (&self.store.crls, &self.store.certificates);
        let before = crls.find(issuer.id, shard).await?;
        let missing = certificates.unlisted(issuer.id, shard).await?;
        let end = self.clock.now() - BEYOND_THE_END;
        let revoked = certificates.revoked(issuer.id, shard, end).await?;
        reach(CrashPoint::RevokedRead);
        let crl = self
            .revoking
            .crl(issuer, shard, before.as_ref(), revoked)
            .await?;
        match self.store.commit(crls.publish(&crl)?).await {
            Ok(()) => {}
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => return Ok(0),
            Err(CommitError::Storage(error)) => return Err(error.into()),
        }
        reach(CrashPoint::CrlWritten);
        certificates.listed(issuer.id, &missing).await?;
        Ok(1)
    }
}
