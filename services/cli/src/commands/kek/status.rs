//! Which KEKs there are.

use std::collections::BTreeMap;

use certfleet_storage::{Processes, Seen, Store};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

/// The services that open secrets.
const OPENERS: [&str; 2] = ["api", "worker"];

/// What is known of all KEKs.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The id of the one that seals, if anything was ever sealed.
    pub seals: Option<String>,
    /// All that something is under, or that a process holds.
    pub keks: Vec<Kek>,
    /// How many processes that open secrets are alive.
    pub processes: usize,
}

/// What is known of a KEK.
#[derive(Debug, Serialize)]
pub struct Kek {
    /// Its id.
    pub id: String,
    /// Whether it seals.
    pub seals: bool,
    /// How many secrets are under it.
    pub secrets: u64,
    /// Whether there can be any: it seals, or it sealed and no search has found yet that nothing is left.
    pub in_use: bool,
    /// How many living processes hold it.
    pub held_by: usize,
}

impl Kek {
    /// What a person should know of it.
    fn state(&self, of: usize) -> &'static str {
        let everywhere = self.held_by == of;
        match (self.seals, self.in_use || self.secrets > 0, everywhere) {
            (true, _, true) => "seals",
            (true, _, false) => "seals, and is not held by all",
            (false, false, true) => "can seal after `kek rotate`, or be taken out of the settings",
            (false, false, false) => "unused",
            (false, true, true) => "being sealed anew",
            (false, true, false) => "being sealed anew, and is not held by all",
        }
    }
}

impl Status {
    /// As the database knows it.
    pub async fn read(store: &Store) -> Result<Self, Failure> {
        let sealing = store.keks.sealing().await?;
        let seals = sealing.map(|sealing| sealing.kek.to_string());
        let mut counts: BTreeMap<String, u64> = store.secrets.count_by_kek().await?;
        let in_use = store.keks.in_use().await?;
        let openers = living_openers(store).await?;
        let held = openers
            .iter()
            .flat_map(|process| process.keks.iter().flatten());
        for kek in held.chain(&seals).chain(&in_use) {
            counts.entry(kek.clone()).or_default();
        }
        let keks = counts.into_iter().map(|(id, secrets)| Kek {
            seals: Some(&id) == seals.as_ref(),
            held_by: openers.iter().filter(|process| holds(process, &id)).count(),
            in_use: in_use.contains(&id),
            secrets,
            id,
        });
        Ok(Self {
            keks: keks.collect(),
            processes: openers.len(),
            seals,
        })
    }
}

/// The living processes that open secrets.
pub async fn living_openers(store: &Store) -> Result<Vec<Seen>, Failure> {
    let mut seen = store.processes.census().await?;
    seen.retain(|process| {
        process.silent_for <= Processes::ALIVE_WITHIN && OPENERS.contains(&process.service.as_str())
    });
    Ok(seen)
}

/// Whether a process says that it holds this KEK.
pub fn holds(process: &Seen, kek: &str) -> bool {
    process.keks.iter().flatten().any(|held| held == kek)
}

/// Shows them.
pub async fn run(store: &Store, out: Output) -> Result<(), Failure> {
    let status = Status::read(store).await?;
    out.show(&status, |sheet| {
        let of = status.processes;
        let rows = status.keks.iter().map(|kek| {
            [
                kek.id.clone(),
                kek.secrets.to_string(),
                format!("{} of {of}", kek.held_by),
                kek.state(of).to_owned(),
            ]
        });
        sheet.table(["kek", "secrets", "held by", ""], rows);
    })
}
