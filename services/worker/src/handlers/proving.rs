//! How names of the fleet are proven: by dns-01 where they lie in a zone that the fleet may change, by http-01 else.
//!
//! By http-01 every API replica answers from the database, at once. By dns-01 a record has to be published first: that is wanted
//! here, done by the duty `dns` for all renewals together, and nobody's hand waits for it meanwhile.

use certfleet_acme::dns01_value;
use certfleet_crash_points::{CrashPoint, reach};
use certfleet_domain::{
    ChallengeKind, DnsName, DnsProof, Identifier, Managed, ProjectName, ProofState, Solver,
    Timestamp, challenge_name,
};
use certfleet_jobs::Lease;
use certfleet_storage::Unit;
use certfleet_upstream::{Member, Proof};

use super::{HandlerError, Handlers};

/// For so long what was shown can be found.
const SHOWN_FOR: time::Duration = time::Duration::HOUR;
/// A zone that takes longer to show a proof fails the renewal.
const PUBLISHED_WITHIN: time::Duration = time::Duration::minutes(5);

/// What became of proofs.
pub(super) enum Proven {
    /// They are shown, and the authority was told.
    Shown,
    /// They are not in DNS yet.
    Awaited,
    /// They will not be.
    Impossible(String),
}

impl Handlers {
    /// Who may change which zone, for certificates of this project.
    pub(super) async fn solvers(&self, of: &ProjectName) -> Result<Vec<Solver>, HandlerError> {
        Ok(self.store.solvers.of(of).await?)
    }

    /// Shows what is to be proven, and has it looked at once it can be found.
    pub(super) async fn prove(
        &self,
        managed: &Managed,
        since: Timestamp,
        solvers: &[Solver],
        member: &Member<'_>,
        proofs: &[Proof],
    ) -> Result<Proven, HandlerError> {
        let now = self.clock.now();
        let until = now + SHOWN_FOR;
        let mut shown = Unit::default();
        let mut records = Vec::new();
        for proof in proofs {
            let unit = match proof.kind {
                ChallengeKind::Dns01 => {
                    let record = record(managed, solvers, proof, now, until)?;
                    let unit = self.store.solvers.want(&record);
                    records.push(record);
                    unit
                }
                _ => self
                    .store
                    .fleet
                    .answer(&proof.token, &proof.key_authorization, until),
            };
            shown = shown.and(unit);
        }
        self.store
            .commit(shown)
            .await
            .map_err(|error| HandlerError::Passing(error.to_string()))?;
        reach(CrashPoint::ProofsShown);
        if let Some(awaited) = self.awaited(&records).await? {
            let waited = now - since;
            return Ok(if waited < PUBLISHED_WITHIN {
                Proven::Awaited
            } else {
                Proven::Impossible(awaited)
            });
        }
        for proof in proofs {
            let looked = member.shown(proof).await;
            looked.map_err(|error| HandlerError::Passing(error.to_string()))?;
        }
        Ok(Proven::Shown)
    }

    /// Nobody wants the proofs of this renewal any more. Said by whoever has the lease: one that stood still would take away those
    /// of the next.
    pub(super) async fn done_proving(
        &self,
        lease: &Lease,
        managed: &Managed,
        solvers: &[Solver],
    ) -> Result<(), HandlerError> {
        if solvers.is_empty() {
            return Ok(());
        }
        self.still_ours(lease).await?;
        Ok(self.store.solvers.done(managed.id).await?)
    }

    /// What is said of a record that is not published yet, if one is not.
    async fn awaited(&self, records: &[DnsProof]) -> Result<Option<String>, HandlerError> {
        if records.is_empty() {
            return Ok(None);
        }
        let ids: Vec<String> = records.iter().map(DnsProof::id).collect();
        let found = self.store.solvers.proofs(&ids).await?;
        let published = |record: &DnsProof| {
            found
                .iter()
                .any(|found| found.id() == record.id() && found.state == ProofState::Published)
        };
        let Some(missing) = records.iter().find(|record| !published(record)) else {
            return Ok(None);
        };
        let trouble = found.iter().find_map(|found| found.trouble.clone());
        let trouble = trouble.unwrap_or_else(|| "the duty dns has not come to it".to_owned());
        Ok(Some(format!(
            "{} is not published by {}: {trouble}",
            missing.name, missing.solver
        )))
    }
}

/// How a name is proven.
pub(super) fn how(solvers: &[Solver], name: &Identifier) -> ChallengeKind {
    match Solver::of(solvers, name) {
        Some(_) => ChallengeKind::Dns01,
        None => ChallengeKind::Http01,
    }
}

fn record(
    managed: &Managed,
    solvers: &[Solver],
    proof: &Proof,
    now: Timestamp,
    until: Timestamp,
) -> Result<DnsProof, HandlerError> {
    let lasting = |why: String| HandlerError::Lasting(why);
    let domain: DnsName = proof
        .identifier
        .parse()
        .map_err(|error| lasting(format!("{}: {error}", proof.identifier)))?;
    let solver = Solver::of(solvers, &Identifier::Dns(domain.clone()));
    let solver = solver.ok_or_else(|| lasting(format!("{domain} is in nobody's zone any more")))?;
    Ok(DnsProof {
        solver: solver.name.clone(),
        name: challenge_name(&domain),
        text: dns01_value(&proof.key_authorization),
        state: ProofState::Wanted,
        managed: managed.id,
        changed_at: now,
        until,
        trouble: None,
    })
}
