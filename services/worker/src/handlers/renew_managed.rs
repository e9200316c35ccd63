//! Carries out what the brain says of a managed certificate, a step at a time.
//!
//! Each step is written down, under the lease, before the next begins; whoever is killed in between, or loses the lease, is
//! followed by somebody who goes on from there. What cannot be undone is an order: that one is to be placed is written before
//! it is, and whoever finds that looks for it at the authority first.

use std::time::Duration;

use certfleet_audit::{Act, Outcome as AuditOutcome};
use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{
    Advice, Attempt, Course, Identifier, Managed, ManagedId, Next, Notice, SystemRng, Timestamp,
    Version, VersionId,
};
use certfleet_jobs::Lease;
use certfleet_pki::create_csr;
use certfleet_secrets::{Purpose, Secret};
use certfleet_signer::{InternalKey, KeyAlgorithm};
use certfleet_storage::{CommitError, SecretName, Unit};
use certfleet_upstream::{NewOrder, Progress, UpstreamError};
use rand::Rng as _;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::proving::{Proven, how};
use super::{HandlerError, Handlers};
use crate::budget::{Charged, Exhausted, charge, give_back};
use crate::obtained::read_chain;
use crate::upstreams::MemberError;

/// An order is watched for so long before the hand is given to others.
const WATCHED_FOR: Duration = Duration::from_secs(20);
/// How long to wait between two looks at an order: the first, and the longest.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// So many attempts at one job meet trouble that may pass, over some four minutes, before that is a failure.
const ATTEMPTS: u32 = 10;

/// What became of a step.
enum Step {
    /// The next is to be taken of this.
    On(Box<Managed>),
    /// The look at it has ended, and this goes with the end.
    Over(Box<Managed>, Unit),
}

impl Handlers {
    pub(super) async fn renew_managed(
        &self,
        lease: &Lease,
        id: ManagedId,
        round: i64,
    ) -> Result<(), HandlerError> {
        let found = self.store.fleet.managed(id).await?;
        // Removed, or looked at already.
        let Some(mut managed) = found.filter(|found| found.round == round) else {
            return self.finish(lease, Unit::default()).await;
        };
        let mut begun_here = false;
        loop {
            let now = self.clock.now();
            let before = managed.clone();
            let taken = match managed.next(now) {
                Next::Rest(_) => Ok(Step::Over(Box::new(managed.rest(now)), Unit::default())),
                Next::Ask => self.ask(managed, now).await,
                Next::Begin(_) => {
                    begun_here = true;
                    self.begin(lease, managed, now).await
                }
                Next::Place => self.place(lease, managed, begun_here).await,
                Next::Pursue => self.pursue(lease, managed).await,
            };
            let step = match taken {
                // Trouble that has not passed for minutes is a failure, and the brain's to deal with.
                Err(HandlerError::Passing(why))
                    if lease.attempt >= ATTEMPTS && before.course.attempt().is_some() =>
                {
                    self.not_renewed(before, why, None)?
                }
                taken => taken?,
            };
            match step {
                Step::On(next) => managed = *next,
                Step::Over(last, result) => {
                    let result = result.and(self.store.fleet.update(&last)?);
                    reach(CrashPoint::RenewalEnding);
                    return self.finish(lease, result).await;
                }
            }
        }
    }

    /// Writes a step, and keeps the job in hand.
    async fn written(
        &self,
        lease: &Lease,
        managed: Managed,
        more: Unit,
    ) -> Result<Step, HandlerError> {
        let unit = self.store.fleet.update(&managed)?.and(more);
        match self.store.jobs.step(lease, unit).await {
            Ok(()) => Ok(Step::On(Box::new(Managed {
                version: managed.version + 1,
                ..managed
            }))),
            Err(error) if error.is_lost_lease() => Err(HandlerError::LostLease),
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {
                Err(HandlerError::Changed)
            }
            Err(CommitError::Storage(error)) => Err(error.into()),
        }
    }

    /// Nothing that cannot be undone is done by who stood still until the lease was another's: that one may have done it.
    pub(super) async fn still_ours(&self, lease: &Lease) -> Result<(), HandlerError> {
        match self.store.jobs.step(lease, Unit::default()).await {
            Ok(()) => Ok(()),
            Err(CommitError::Storage(error)) => Err(error.into()),
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {
                Err(HandlerError::LostLease)
            }
        }
    }

    /// What the authority of the current certificate suggests.
    async fn ask(&self, managed: Managed, now: Timestamp) -> Result<Step, HandlerError> {
        let Some(current) = managed.current.clone() else {
            return Ok(Step::On(Box::new(managed)));
        };
        let (Some(cert_id), name) = (current.cert_id, current.upstream) else {
            return Ok(Step::On(Box::new(managed)));
        };
        let asked = match self.upstreams.at(&name).await {
            Ok(at) => match at.server.advice(&cert_id).await {
                // An authority that knows nothing of it has no advice.
                Err(error) if error.is_not_found() => Ok(None),
                asked => asked.map_err(|error| error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        let advised = match asked {
            Ok(Some(asked)) => {
                let advice = Advice {
                    moment: asked.window.draw(&mut SystemRng),
                    window: asked.window,
                    explanation_url: asked.explanation_url,
                };
                managed.advised(Some(advice), asked.again_in.map(later), now)
            }
            Ok(None) => managed.advised(None, None, now),
            Err(why) => {
                tracing::warn!(managed = %managed.id, upstream = %name, why, "gives no advice");
                managed.not_advised(now)
            }
        };
        Ok(Step::On(Box::new(advised)))
    }

    /// A renewal begins: its key is kept, and that an order is to be placed.
    async fn begin(
        &self,
        lease: &Lease,
        managed: Managed,
        now: Timestamp,
    ) -> Result<Step, HandlerError> {
        let Next::Begin(reason) = managed.next(now) else {
            return Ok(Step::On(Box::new(managed)));
        };
        let Some(upstream) = managed.choose(now).cloned() else {
            return Err(HandlerError::Lasting("it is from no authority".to_owned()));
        };
        let (version, kept) = match managed.spare {
            Some(spare) => (spare, Unit::default()),
            None => self.make_key().await?,
        };
        tracing::info!(managed = %managed.id, %upstream, %reason, "is renewed");
        let begun = managed.begin(reason, upstream, version, now)?;
        let step = self.written(lease, begun, kept).await;
        reach(CrashPoint::RenewalBegun);
        step
    }

    /// A new key, and the unit that keeps it.
    async fn make_key(&self) -> Result<(VersionId, Unit), HandlerError> {
        let version = VersionId::generate(self.clock.as_ref(), &mut SystemRng);
        let failed = |error: &dyn std::fmt::Display| HandlerError::Lasting(error.to_string());
        let key = InternalKey::generate(KeyAlgorithm::EcdsaP256).map_err(|error| failed(&error))?;
        let pkcs8 = key.to_pkcs8_der().map_err(|error| failed(&error))?;
        let name = SecretName::ManagedKey(version);
        let secret = Secret::new(pkcs8.to_vec());
        let kept = self.vault.insert(&name, &secret, &mut SystemRng).await?;
        Ok((version, kept))
    }

    /// Places the order, unless it was placed.
    async fn place(
        &self,
        lease: &Lease,
        managed: Managed,
        begun_here: bool,
    ) -> Result<Step, HandlerError> {
        let attempt = under_way(&managed)?;
        let at = self.upstreams.at(&attempt.upstream).await?;
        let member = match self.upstreams.member(&at, &self.recorder).await {
            Ok(member) => member,
            Err(MemberError::Upstream(_, error)) if error.is_its_word() => {
                return self.setback(managed, &error);
            }
            Err(error) => return Err(error.into()),
        };
        // Whoever began it, and had no answer yet, has placed no order.
        let may_be_placed = !begun_here || managed.setback.is_some();
        let found = if may_be_placed {
            let found = member.find_order(&managed.names).await;
            found.map_err(|error| passing(&error))?
        } else {
            None
        };
        let mut charged = Charged::default();
        let placed = if let Some(order) = found {
            Ok(order)
        } else {
            if !attempt.says_replaces {
                match charge(&self.store.limits, &at.upstream, &managed.names).await? {
                    Ok(all) => charged = all,
                    Err(exhausted) => return self.put_off(managed, exhausted),
                }
            }
            self.still_ours(lease).await?;
            let current = managed.current.as_ref().filter(|_| attempt.says_replaces);
            let wish = NewOrder {
                names: &managed.names,
                profile: at.upstream.profile.as_deref(),
                replaces: current.and_then(|current| current.cert_id.as_deref()),
            };
            member.place(&wish).await
        };
        reach(CrashPoint::OrderPlaced);
        match placed {
            Ok(order) => {
                self.written(lease, managed.placed(order)?, Unit::default())
                    .await
            }
            Err(error) if attempt.says_replaces && error.is_about_replacing() => {
                tracing::info!(managed = %managed.id, %error, "is ordered without saying what it replaces");
                self.written(lease, managed.place_plainly()?, Unit::default())
                    .await
            }
            // The order may be there: the next attempt at this job looks.
            Err(error @ (UpstreamError::Away(_) | UpstreamError::Strange(_))) => {
                Err(passing(&error))
            }
            Err(error) => {
                give_back(&self.store.limits, charged).await;
                self.setback(managed, &error)
            }
        }
    }

    /// Sees the order through, as far as it goes by itself.
    async fn pursue(&self, lease: &Lease, managed: Managed) -> Result<Step, HandlerError> {
        let attempt = under_way(&managed)?;
        let Course::Ordered { order, .. } = managed.course.clone() else {
            return Ok(Step::On(Box::new(managed)));
        };
        let at = self.upstreams.at(&attempt.upstream).await?;
        let member = self.upstreams.member(&at, &self.recorder).await?;
        let solvers = self.solvers(&managed.project).await?;
        let by = |name: &Identifier| how(&solvers, name);
        let until = Instant::now() + WATCHED_FOR;
        let mut wait = LOOKS.0;
        loop {
            let progress = match member.progress(&order, &by).await {
                Ok(progress) => progress,
                Err(error) if error.is_not_found() => {
                    let why = "the authority has forgotten the order".to_owned();
                    return self.not_renewed(managed, why, None);
                }
                Err(error) => return Err(passing(&error)),
            };
            match progress {
                Progress::Pending(proofs) => {
                    let since = attempt.since;
                    let proven = self.prove(&managed, since, &solvers, &member, &proofs);
                    match proven.await? {
                        Proven::Shown => {}
                        Proven::Awaited => {
                            let rests = managed.rest(self.clock.now());
                            return Ok(Step::Over(Box::new(rests), Unit::default()));
                        }
                        Proven::Impossible(why) => {
                            self.done_proving(lease, &managed, &solvers).await?;
                            return self.not_renewed(managed, why, None);
                        }
                    }
                }
                Progress::Ready => {
                    self.done_proving(lease, &managed, &solvers).await?;
                    let csr = self.request(attempt.version, &managed.names).await?;
                    reach(CrashPoint::RequestMade);
                    match member.finalize(&order, &csr).await {
                        Ok(()) => {}
                        // What it refuses it may have taken already, from somebody whose answer was lost: look.
                        Err(error @ UpstreamError::Refused(_)) => {
                            let again = member.progress(&order, &by).await;
                            if matches!(again, Ok(Progress::Ready) | Err(_)) {
                                return self.setback(managed, &error);
                            }
                        }
                        Err(error) => return Err(passing(&error)),
                    }
                }
                Progress::Valid => {
                    let chain = member.download(&order).await;
                    let chain = chain.map_err(|error| passing(&error))?;
                    reach(CrashPoint::ChainDownloaded);
                    return self.obtained(managed, &attempt, chain).await;
                }
                Progress::Failed(why) => {
                    self.done_proving(lease, &managed, &solvers).await?;
                    return self.not_renewed(managed, why, None);
                }
                Progress::Validating | Progress::Processing => {}
            }
            if Instant::now() >= until {
                let why = "the authority has not decided yet".to_owned();
                return Err(HandlerError::Passing(why));
            }
            sleep(wait).await;
            wait = (wait * 2).min(LOOKS.1);
        }
    }

    /// The request for a certificate, signed by its key.
    async fn request(
        &self,
        version: VersionId,
        names: &[Identifier],
    ) -> Result<Vec<u8>, HandlerError> {
        let key = self.key_of(version).await?;
        create_csr(names, &key).map_err(|error| HandlerError::Lasting(error.to_string()))
    }

    async fn key_of(&self, version: VersionId) -> Result<InternalKey, HandlerError> {
        let name = SecretName::ManagedKey(version);
        let kept = self
            .vault
            .require(&name, Purpose::RequestCertificate)
            .await?;
        InternalKey::from_pkcs8_der(&Zeroizing::new(kept.expose().to_vec()))
            .map_err(|error| HandlerError::Lasting(format!("{name}: {error}")))
    }

    /// The certificate is there: kept, and the current one from now on.
    async fn obtained(
        &self,
        managed: Managed,
        attempt: &Attempt,
        chain: String,
    ) -> Result<Step, HandlerError> {
        let now = self.clock.now();
        let key = self.key_of(attempt.version).await?;
        let current = match read_chain(&chain, attempt, &key, &managed.names, now) {
            Ok(current) => current,
            Err(why) => return self.not_renewed(managed, why, None),
        };
        let version = Version {
            id: attempt.version,
            managed: managed.id,
            upstream: attempt.upstream.clone(),
            chain,
            not_before: current.not_before,
            not_after: current.not_after,
            created_at: now,
        };
        tracing::info!(managed = %managed.id, serial = current.serial, "has a new certificate");
        let event = self.recorder.event(
            Act::RenewManaged,
            format!("managed/{}", managed.id),
            AuditOutcome::Done,
            format!(
                "serial {} from {}: {}",
                current.serial, attempt.upstream, attempt.reason
            ),
        );
        let mut kept = self
            .store
            .fleet
            .insert_version(&version)?
            .recording(&event)?;
        // Wherever it goes, this one is wanted there from now on.
        let deliveries = &self.store.deliveries;
        for placement in deliveries.placements_of(managed.id).await? {
            let wanted = placement.want(version.id, now);
            kept = kept.and(deliveries.update_placement(&wanted)?);
        }
        Ok(Step::Over(Box::new(managed.obtained(current, now)?), kept))
    }

    fn setback(&self, managed: Managed, error: &UpstreamError) -> Result<Step, HandlerError> {
        self.not_renewed(managed, error.to_string(), error.after())
    }

    /// Nothing was ordered, and nothing has failed: it waits until the authority's budget allows it.
    fn put_off(&self, managed: Managed, exhausted: Exhausted) -> Result<Step, HandlerError> {
        tracing::info!(managed = %managed.id, why = exhausted.why, "is put off");
        let wait = exhausted.wait.try_into().unwrap_or(time::Duration::DAY);
        let waits = managed.put_off(exhausted.why, wait, self.clock.now())?;
        Ok(Step::Over(Box::new(waits), Unit::default()))
    }

    fn not_renewed(
        &self,
        managed: Managed,
        why: String,
        at_least: Option<time::Duration>,
    ) -> Result<Step, HandlerError> {
        tracing::warn!(managed = %managed.id, why, "was not renewed");
        let event = self.recorder.event(
            Act::RenewManaged,
            format!("managed/{}", managed.id),
            AuditOutcome::Refused,
            &why,
        );
        let failed = managed.failed(why, at_least, self.clock.now())?;
        let unit = self.told_of_failure(&failed)?.recording(&event)?;
        Ok(Step::Over(Box::new(failed), unit))
    }

    /// What a job that is given up leaves behind: a setback, after which the brain begins anew.
    pub(super) async fn give_up_renewal(
        &self,
        id: ManagedId,
        round: i64,
    ) -> Result<Unit, HandlerError> {
        let found = self.store.fleet.managed(id).await?;
        let Some(managed) = found.filter(|found| found.round == round) else {
            return Ok(Unit::default());
        };
        let now = self.clock.now();
        let why = "given up after many attempts: see `certfleet jobs list --state dead`";
        let after = managed.given_up(why.to_owned(), now);
        let unit = self.store.fleet.update(&after)?;
        Ok(unit.and(self.told_of_failure(&after)?))
    }

    /// What is written so that people are told of a failure, if it is one that a person should look at.
    fn told_of_failure(&self, failed: &Managed) -> Result<Unit, HandlerError> {
        match Notice::of_failure(failed, self.clock.now()) {
            Some(notice) => Ok(self.store.notices.ensure(&notice)?),
            None => Ok(Unit::default()),
        }
    }
}

/// Up to a tenth later, so that what came together does not ask together for ever.
fn later(wait: time::Duration) -> time::Duration {
    wait + wait * SystemRng.random_range(0.0..0.1)
}

/// The job is tried again, and goes on from what is written.
fn passing(error: &UpstreamError) -> HandlerError {
    HandlerError::Passing(error.to_string())
}

fn under_way(managed: &Managed) -> Result<Attempt, HandlerError> {
    let attempt = managed.course.attempt().cloned();
    attempt.ok_or_else(|| HandlerError::Lasting("no renewal is under way".to_owned()))
}
