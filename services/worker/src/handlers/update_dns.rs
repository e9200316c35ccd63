//! Puts proofs of names into zones that the fleet may change, and takes them out again: for all renewals that want any together, one
//! change of each zone (FLT-7).
//!
//! What is to be there is in the database; a run makes each zone so. Killed anywhere, the next one does it again, and nothing
//! comes of it that was not there.

use std::collections::BTreeMap;

use certfleet_audit::{Act, Outcome};
use certfleet_dns_update::{Change, TsigKey, Txt, Zone};
use certfleet_domain::{DnsProof, ProofState, Solver, SolverName, Timestamp, settled};
use certfleet_jobs::Lease;
use certfleet_secrets::Purpose;
use certfleet_storage::{SecretName, Unit};
use zeroize::Zeroizing;

use super::{HandlerError, Handlers};

/// So many proofs are looked at in one run; the next is due soon.
const MOST: i64 = 2000;

/// What is to be done with a zone.
#[derive(Default)]
struct Pending {
    wanted: Vec<DnsProof>,
    unwanted: Vec<DnsProof>,
}

impl Handlers {
    pub(super) async fn update_dns(&self, lease: &Lease) -> Result<(), HandlerError> {
        let now = self.clock.now();
        let mut zones: BTreeMap<SolverName, Vec<DnsProof>> = BTreeMap::new();
        for proof in self.store.solvers.pending(now, MOST).await? {
            zones.entry(proof.solver.clone()).or_default().push(proof);
        }
        let mut record = Unit::default();
        for (name, proofs) in zones {
            if !settled(&proofs, now) {
                continue;
            }
            let pending = Pending::of(proofs, now);
            let told = pending.told();
            let done = self.update_zone(&name, &pending, now).await;
            let outcome = match &done {
                Ok(()) => Outcome::Done,
                Err(_) => Outcome::Refused,
            };
            let detail = match done {
                Ok(()) => told,
                Err(why) => {
                    // One zone's trouble is no other's; those who wait for it are told.
                    tracing::warn!(solver = %name, why, "the zone is not changed");
                    self.store
                        .solvers
                        .trouble(&ids(&pending.wanted), &why)
                        .await?;
                    format!("{told}: {why}")
                }
            };
            let target = format!("solver/{name}");
            let event = self
                .recorder
                .event(Act::UpdateZone, target, outcome, detail);
            record = record.recording(&event)?;
        }
        self.finish(lease, record).await
    }

    async fn update_zone(
        &self,
        name: &SolverName,
        pending: &Pending,
        now: Timestamp,
    ) -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let solvers = &self.store.solvers;
        let found = solvers.find(name).await.map_err(|error| told(&error))?;
        let Some(solver) = found else {
            // Removed: nobody can take out what it had put in.
            let gone = ids(&pending.unwanted);
            solvers
                .forget(&gone, now)
                .await
                .map_err(|error| told(&error))?;
            return Err("there is no such solver any more".to_owned());
        };
        let secret = SecretName::SolverKey(name.clone());
        let secret = self.vault.require(&secret, Purpose::UpdateDns).await;
        let secret = secret.map_err(|error| told(&error))?;
        let zone = zone(&solver, Zeroizing::new(secret.expose().to_vec()));
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        let changed = zone.apply(&pending.change(), seconds).await;
        changed.map_err(|error| told(&error))?;
        let gone = ids(&pending.unwanted);
        solvers
            .forget(&gone, now)
            .await
            .map_err(|error| told(&error))?;
        let seen = see(&solver, &zone, &pending.wanted).await?;
        solvers
            .published(&seen)
            .await
            .map_err(|error| told(&error))?;
        tracing::info!(solver = %name, published = seen.len(), removed = gone.len(), "the zone is changed");
        if seen.len() == pending.wanted.len() {
            Ok(())
        } else {
            Err("not all of its servers show it yet".to_owned())
        }
    }
}

impl Pending {
    fn of(proofs: Vec<DnsProof>, now: Timestamp) -> Self {
        let is_wanted = |proof: &DnsProof| proof.state == ProofState::Wanted && proof.until > now;
        let (wanted, unwanted) = proofs.into_iter().partition(is_wanted);
        Self { wanted, unwanted }
    }

    /// A record that one renewal wants stays, though another is done with it.
    fn change(&self) -> Change {
        let add: Vec<Txt> = self.wanted.iter().map(txt).collect();
        let remove = self
            .unwanted
            .iter()
            .map(txt)
            .filter(|txt| !add.contains(txt));
        Change {
            remove: remove.collect(),
            add,
        }
    }

    fn told(&self) -> String {
        format!(
            "{} published, {} removed",
            self.wanted.len(),
            self.unwanted.len()
        )
    }
}

/// The zone that a solver may change, with its key.
fn zone(solver: &Solver, secret: Zeroizing<Vec<u8>>) -> Zone {
    Zone {
        name: solver.zone.to_string(),
        server: solver.server,
        key: TsigKey {
            name: solver.key_name.to_string(),
            algorithm: solver.algorithm,
            secret,
        },
    }
}

/// The ids of those that every server shows that is watched.
async fn see(solver: &Solver, zone: &Zone, wanted: &[DnsProof]) -> Result<Vec<String>, String> {
    let primary = [zone.server];
    let servers = if solver.watched.is_empty() {
        &primary[..]
    } else {
        &solver.watched
    };
    let mut seen = Vec::new();
    for proof in wanted {
        let mut everywhere = true;
        for server in servers {
            let texts = Zone::texts(*server, &proof.name).await;
            let texts = texts.map_err(|error| error.to_string())?;
            everywhere &= texts.contains(&proof.text);
        }
        if everywhere {
            seen.push(proof.id());
        }
    }
    Ok(seen)
}

fn ids(proofs: &[DnsProof]) -> Vec<String> {
    proofs.iter().map(DnsProof::id).collect()
}

fn txt(proof: &DnsProof) -> Txt {
    Txt {
        name: proof.name.clone(),
        text: proof.text.clone(),
    }
}
