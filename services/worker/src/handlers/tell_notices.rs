//! Tells people what they are to know without having asked: each thing once, what comes together in one message.
//!
//! What is found is written down before anybody is told, and is one notice however many find it. Who is killed between telling and
//! noting that has the same message told again, which its receivers can know by its ids.

use std::time::Duration;

use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{Channel, Notice};
use certfleet_jobs::Lease;
use certfleet_storage::{CommitError, StorageError, Unit};

use super::{HandlerError, Handlers};
use crate::teller::Teller;

/// So many certificates are looked at in one run.
const MOST_CERTIFICATES: i64 = 1000;
/// So many notices go into one message.
const MOST_NOTICES: i64 = 200;

impl Handlers {
    pub(super) async fn tell_notices(&self, lease: &Lease) -> Result<(), HandlerError> {
        self.find_what_was_not_renewed().await?;
        let due = self.store.notices.due(self.clock.now(), MOST_NOTICES);
        let mut due = due.await?;
        if !due.is_empty() {
            let settings = self.notices.borrow().clone();
            let teller = Teller::new(&settings)
                .map_err(|error| HandlerError::Passing(format!("{error:#}")))?;
            let mut failed = Vec::new();
            for channel in Channel::ALL {
                self.still_ours(lease).await?;
                let told = self.tell_by(&teller, channel, &mut due).await?;
                failed.extend(told.err().map(|why| (channel, why)));
            }
            self.try_later(&failed, teller.longest_wait, &mut due)
                .await?;
        }
        self.finish(lease, Unit::default()).await
    }

    /// Certificates that have come to the next stage before their end, or to it.
    async fn find_what_was_not_renewed(&self) -> Result<(), HandlerError> {
        let now = self.clock.now();
        for managed in self.store.fleet.to_be_told(now, MOST_CERTIFICATES).await? {
            let Some((stage, told)) = managed.to_be_told(now) else {
                continue;
            };
            let notice = Notice::of_expiry(&managed, stage, now);
            let unit = self.store.notices.ensure(&notice)?;
            let unit = unit.and(self.store.fleet.update(&told)?);
            match self.store.commit(unit).await {
                // Whoever has it in hand may be renewing it: the next run looks at what has come of that.
                Ok(()) | Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {}
                Err(CommitError::Storage(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Tells by one channel what is to be told by it, and notes that; or says why that could not be.
    async fn tell_by(
        &self,
        teller: &Teller,
        channel: Channel,
        due: &mut [Notice],
    ) -> Result<Result<(), String>, HandlerError> {
        let telling: Vec<Notice> = due
            .iter()
            .filter(|notice| notice.waiting.contains(&channel))
            .cloned()
            .collect();
        if telling.is_empty() {
            return Ok(Ok(()));
        }
        let told = teller.tell(channel, &telling).await;
        reach(CrashPoint::NoticesTold);
        if let Some(told) = &told {
            self.metrics.told(channel, told.is_ok(), telling.len());
        }
        let is_there = told.is_some();
        if let Some(Err(error)) = told {
            let why = error.to_string();
            tracing::warn!(%channel, notices = telling.len(), why, "people could not be told");
            return Ok(Err(why));
        }
        for notice in due {
            if notice.waiting.contains(&channel) {
                let after = if is_there {
                    notice.clone().told(channel)
                } else {
                    notice.clone().passed_over(channel)
                };
                self.put_down(notice, after).await?;
            }
        }
        Ok(Ok(()))
    }

    /// What could not be told by some channel is tried again later: one try, however many channels have failed.
    async fn try_later(
        &self,
        failed: &[(Channel, String)],
        longest_wait: Duration,
        due: &mut [Notice],
    ) -> Result<(), HandlerError> {
        let longest_wait = longest_wait.try_into().unwrap_or_default();
        for notice in due {
            let its = failed
                .iter()
                .filter(|(channel, _)| notice.waiting.contains(channel));
            let whys: Vec<String> = its
                .map(|(channel, why)| format!("{channel}: {why}"))
                .collect();
            if !whys.is_empty() {
                let after = notice.clone();
                let after = after.not_told(whys.join("; "), longest_wait, self.clock.now());
                self.put_down(notice, after).await?;
            }
        }
        Ok(())
    }

    async fn put_down(&self, notice: &mut Notice, after: Notice) -> Result<(), StorageError> {
        match self.store.commit(self.store.notices.update(&after)?).await {
            Ok(()) => {
                *notice = Notice {
                    version: after.version + 1,
                    ..after
                };
                Ok(())
            }
            // Another run has it.
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => Ok(()),
            Err(CommitError::Storage(error)) => Err(error),
        }
    }
}
