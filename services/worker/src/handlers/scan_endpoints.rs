//! Looks at what is served where certificates of the fleet should be, many at a time, each for a few seconds at the most.
//!
//! What is due is put off before it is looked at, so that a run that overlaps this one looks at something else; what a killed run
//! has not come to is looked at the next time.

use std::collections::HashMap;

use certfleet_audit::{Act, Event, Outcome};
use certfleet_domain::{Drift, Expected, ManagedId, Notice, Served, Version, Watch, judge};
use certfleet_jobs::Lease;
use certfleet_pki::{
    certificates_from_pem, fingerprint_of_certificate, issuer_of_certificate, names_of_certificate,
    validity_of_certificate,
};
use certfleet_storage::{CommitError, StorageError, Unit};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rustls_pki_types::CertificateDer;

use super::{HandlerError, Handlers};

/// So many are looked at in one run; the next is due soon.
const MOST: i64 = 2000;
/// So many servers at the same time.
const AT_ONCE: usize = 256;
/// So many reads or writes of the database at the same time: it has other things to do.
const WRITTEN_AT_ONCE: usize = 8;

/// What is known of a managed certificate that is watched.
struct Known {
    chain: Vec<Vec<u8>>,
    former: Vec<Version>,
}

/// What a look has shown.
enum Found {
    /// Nothing can be said yet: there is no certificate that could be served.
    Unknown,
    /// What should be served is.
    Right,
    /// It is not; more of it for people.
    Wrong(Drift, String),
}

impl Handlers {
    pub(super) async fn scan_endpoints(&self, lease: &Lease) -> Result<(), HandlerError> {
        let due = self.store.watches.due(self.clock.now(), MOST).await?;
        if due.is_empty() {
            return self.finish(lease, Unit::default()).await;
        }
        let ours: Vec<Option<Watch>> = stream::iter(due)
            .map(|watch| self.put_off_watch(watch))
            .buffer_unordered(WRITTEN_AT_ONCE)
            .try_collect()
            .await?;
        let ours: Vec<Watch> = ours.into_iter().flatten().collect();
        let known = self.known(&ours).await?;
        let count = ours.len();
        let looked = stream::iter(ours)
            .map(|watch| async {
                let found = self.look_at(&watch, known.get(&watch.managed)).await;
                (watch, found)
            })
            .buffer_unordered(AT_ONCE);
        let drifted: Vec<bool> = looked
            .map(|(watch, found)| self.note(watch, found))
            .buffer_unordered(WRITTEN_AT_ONCE)
            .try_collect()
            .await?;
        let drifted = drifted.into_iter().filter(|drifted| *drifted).count();
        tracing::info!(endpoints = count, drifted, "were looked at");
        self.finish(lease, Unit::default()).await
    }

    /// `None` if another run has it.
    async fn put_off_watch(&self, watch: Watch) -> Result<Option<Watch>, StorageError> {
        let put_off = watch.put_off(self.clock.now());
        match self
            .store
            .commit(self.store.watches.update(&put_off)?)
            .await
        {
            Ok(()) => Ok(Some(Watch {
                version: put_off.version + 1,
                ..put_off
            })),
            Err(CommitError::Storage(error)) => Err(error),
            Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => Ok(None),
        }
    }

    /// What should be served, of each certificate that has come.
    async fn known(&self, watches: &[Watch]) -> Result<HashMap<ManagedId, Known>, StorageError> {
        let mut managed: Vec<ManagedId> = watches.iter().map(|watch| watch.managed).collect();
        managed.sort_unstable();
        managed.dedup();
        let known: Vec<Option<(ManagedId, Known)>> = stream::iter(managed)
            .map(|id| self.known_of(id))
            .buffer_unordered(WRITTEN_AT_ONCE)
            .try_collect()
            .await?;
        Ok(known.into_iter().flatten().collect())
    }

    async fn known_of(&self, id: ManagedId) -> Result<Option<(ManagedId, Known)>, StorageError> {
        let managed = self.store.fleet.managed(id).await?;
        let Some(current) = managed.and_then(|managed| managed.current) else {
            return Ok(None);
        };
        let versions = self.store.fleet.versions_of(id).await?;
        let (own, former): (Vec<_>, Vec<_>) = versions
            .into_iter()
            .partition(|version| version.id == current.version);
        let chain = own
            .first()
            .and_then(|version| certificates_from_pem(&version.chain).ok());
        Ok(chain.map(|chain| (id, Known { chain, former })))
    }

    /// What is wrong there.
    async fn look_at(&self, watch: &Watch, known: Option<&Known>) -> Found {
        let Some(expected) = known.and_then(|known| expected(watch, known)) else {
            return Found::Unknown;
        };
        let name = watch.name.host_below();
        let at = (watch.endpoint.host(), watch.endpoint.port());
        let chain = match self.prober.look(at, &name).await {
            Ok(chain) => chain,
            Err(error) => return Found::Wrong(Drift::Unreachable, error.to_string()),
        };
        let Some(served) = served(&chain) else {
            let why = "no certificate, or one that is none, is shown";
            return Found::Wrong(Drift::Unreachable, why.to_owned());
        };
        match judge(&expected, &served, self.clock.now()) {
            None => Found::Right,
            Some(drift) => {
                let own = served.chain.first().map(ToString::to_string);
                Found::Wrong(
                    drift,
                    format!("{drift}: SHA-256 {}", own.unwrap_or_default()),
                )
            }
        }
    }

    /// Writes down what was found, has it repaired if that is wished, and says whether something is wrong.
    async fn note(&self, watch: Watch, found: Found) -> Result<bool, HandlerError> {
        let found = match found {
            Found::Unknown => return Ok(false),
            Found::Right => None,
            Found::Wrong(drift, detail) => Some((drift, detail)),
        };
        let now = self.clock.now();
        let before = watch.finding.as_ref().map(|finding| finding.drift);
        let watch_before = watch.clone();
        let mut after = watch.looked(found, now);
        let finding = after.finding.clone();
        let mut unit = Unit::default();
        if finding.as_ref().map(|finding| finding.drift) != before {
            unit = unit.recording(&self.found(&after))?;
        }
        if is_confirmed(&watch_before, &after) {
            unit = unit.and(self.told_of_drift(&after).await?);
        }
        if after.wants_repair(now) {
            let deliveries = &self.store.deliveries;
            for placement in deliveries.placements_of(after.managed).await? {
                unit = unit.and(deliveries.update_placement(&placement.again(now))?);
            }
            let target = format!("managed/{}", after.managed);
            let detail = format!("to repair what was found at {}", after.endpoint);
            let event = self
                .recorder
                .event(Act::RepairDrift, target, Outcome::Done, detail);
            unit = unit.recording(&event)?;
            after = after.repaired(now);
        }
        let unit = unit.and(self.store.watches.update(&after)?);
        match self.store.commit(unit).await {
            // Whoever changed it meanwhile has it looked at anew.
            Ok(()) | Err(CommitError::Changed { .. } | CommitError::Duplicate { .. }) => {}
            Err(CommitError::Storage(error)) => return Err(error.into()),
        }
        Ok(finding.is_some())
    }

    async fn told_of_drift(&self, watch: &Watch) -> Result<Unit, HandlerError> {
        let managed = self.store.fleet.managed(watch.managed).await?;
        let notice =
            managed.and_then(|managed| Notice::of_drift(watch, &managed, self.clock.now()));
        match notice {
            Some(notice) => Ok(self.store.notices.ensure(&notice)?),
            None => Ok(Unit::default()),
        }
    }

    fn found(&self, watch: &Watch) -> Event {
        let target = format!("managed/{}", watch.managed);
        let (outcome, detail) = match &watch.finding {
            Some(finding) => (
                Outcome::Refused,
                format!("{}: {}", watch.endpoint, finding.detail),
            ),
            None => (
                Outcome::Done,
                format!("{} serves what it should", watch.endpoint),
            ),
        };
        self.recorder.event(Act::FindDrift, target, outcome, detail)
    }
}

/// Whether a finding was seen a second time just now: what is started anew at the moment of one look is nobody's trouble.
fn is_confirmed(before: &Watch, after: &Watch) -> bool {
    let (Some(before), Some(after)) = (&before.finding, &after.finding) else {
        return false;
    };
    before.first_seen == before.last_seen && after.first_seen == before.first_seen
}

fn expected(watch: &Watch, known: &Known) -> Option<Expected> {
    let own = known.chain.first()?;
    let former = known.former.iter().filter_map(|version| {
        let chain = certificates_from_pem(&version.chain).ok()?;
        Some(fingerprint_of_certificate(chain.first()?))
    });
    Some(Expected {
        chain: known
            .chain
            .iter()
            .map(|der| fingerprint_of_certificate(der))
            .collect(),
        former: former.collect(),
        issuer: issuer_of_certificate(own).ok()?,
        name: watch.name.clone(),
    })
}

/// What a stranger shows, as far as it makes sense.
fn served(chain: &[CertificateDer<'_>]) -> Option<Served> {
    let own = chain.first()?;
    let (_, not_after) = validity_of_certificate(own).ok()?;
    Some(Served {
        chain: chain
            .iter()
            .map(|der| fingerprint_of_certificate(der))
            .collect(),
        issuer: issuer_of_certificate(own).ok()?,
        // Names that are none of ours are not the one that is looked for.
        names: names_of_certificate(own).unwrap_or_default(),
        not_after,
    })
}
