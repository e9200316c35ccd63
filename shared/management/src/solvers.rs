//! Zones that the fleet may change, to prove names by dns-01.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certfleet_audit::Act;
use certfleet_domain::{
    Clock as _, DnsName, ProjectName, Solver, SolverName, SystemClock, SystemRng, TsigAlgorithm,
};
use certfleet_secrets::Secret;
use certfleet_storage::{SecretName, Store, Vault};
use zeroize::Zeroizing;

use crate::plan::Plan;
use crate::projects;
use crate::refused::Refused;

/// The shortest key, in octets.
const SHORTEST_KEY: usize = 16;

/// A zone that is to be added.
pub struct NewSolver {
    /// Its name in the fleet.
    pub name: SolverName,
    /// Whose it is.
    pub project: ProjectName,
    /// The zone.
    pub zone: DnsName,
    /// Its primary server.
    pub server: SocketAddr,
    /// The servers that have to show a proof.
    pub watched: Vec<SocketAddr>,
    /// By what name the server knows the key.
    pub key_name: DnsName,
    /// The key's algorithm.
    pub algorithm: TsigAlgorithm,
    /// The key.
    pub key: Zeroizing<Vec<u8>>,
}

/// A key as `tsig-keygen` and `keymgr -t` give it.
pub fn key_from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let key = STANDARD.decode(text.trim()).ok()?;
    (key.len() >= SHORTEST_KEY).then(|| Zeroizing::new(key))
}

/// A zone is added.
pub async fn add(store: &Store, vault: &Vault, wish: NewSolver) -> Result<Plan<Solver>, Refused> {
    projects::require(store, &wish.project).await?;
    let solver = Solver {
        name: wish.name,
        project: wish.project,
        zone: wish.zone,
        server: wish.server,
        watched: wish.watched,
        key_name: wish.key_name,
        algorithm: wish.algorithm,
        created_at: SystemClock.now(),
        version: 0,
    };
    let name = SecretName::SolverKey(solver.name.clone());
    let secret = Secret::new(wish.key.to_vec());
    let sealed = vault.insert(&name, &secret, &mut SystemRng).await?;
    let unit = store.solvers.insert(&solver)?.and(sealed);
    let target = format!("solver/{}", solver.name);
    let detail = format!("{} at {}", solver.zone, solver.server);
    Ok(Plan::new(solver, unit)
        .recording(Act::CreateSolver, target)
        .with_detail(detail)
        .if_taken("there is a solver of this name already"))
}

/// A zone is removed, and its key with it, once no record is to be there or to go.
pub async fn remove(store: &Store, solver: Solver) -> Result<Plan<Solver>, Refused> {
    if store.solvers.is_in_use(&solver.name).await? {
        let why = format!(
            "records in {} are to be published or removed yet: try again when they are gone",
            solver.zone
        );
        return Err(Refused::Conflict(why));
    }
    let secret = SecretName::SolverKey(solver.name.clone()).to_string();
    let unit = store
        .solvers
        .remove(&solver)
        .and(store.secrets.remove(&secret));
    let target = format!("solver/{}", solver.name);
    Ok(Plan::new(solver, unit).recording(Act::RemoveSolver, target))
}
