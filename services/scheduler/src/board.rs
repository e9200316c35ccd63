//! What this process knows of itself, for `/healthz`: whether it leads, and how each duty went.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use certfleet_domain::Timestamp;
use certfleet_service_kit::Condition;
use certfleet_storage::Term;
use tokio::time::Instant;

/// A duty is overdue when it has not ended for so many of its intervals.
const OVERDUE_AFTER: u32 = 3;

/// The last run of a duty.
struct LastRun {
    at: Timestamp,
    ended: Instant,
    interval: Duration,
    /// What it did, or nothing if it failed; why, the log says.
    did: Option<String>,
}

#[derive(Default)]
struct State {
    term: Option<Term>,
    runs: BTreeMap<&'static str, LastRun>,
}

/// Clones share one board.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<State>>);

/// On the board as long as it lives: this process leads.
pub struct Leading(Board);

impl Drop for Leading {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.term = None;
        state.runs.clear();
    }
}

impl Board {
    /// This process leads until what this gives is dropped.
    pub fn leading(&self, term: Term) -> Leading {
        self.state().term = Some(term);
        Leading(self.clone())
    }

    /// The term in which this process leads, if it does.
    pub fn term(&self) -> Option<Term> {
        self.state().term
    }

    /// A duty ended now; `did` is `None` if it failed.
    pub fn note(&self, duty: &'static str, interval: Duration, at: Timestamp, did: Option<String>) {
        let run = LastRun {
            at,
            ended: Instant::now(),
            interval,
            did,
        };
        self.state().runs.insert(duty, run);
    }

    /// How the duties are.
    pub fn duties(&self) -> Condition {
        let state = self.state();
        if state.term.is_none() {
            return Condition::ok_with("standing by");
        }
        let mut well = true;
        let lines: Vec<String> = state
            .runs
            .iter()
            .map(|(duty, run)| {
                let overdue = run.ended.elapsed() > run.interval * OVERDUE_AFTER;
                well &= run.did.is_some() && !overdue;
                let did = run.did.as_deref().unwrap_or("failed, see the log");
                let late = if overdue { ", and is overdue" } else { "" };
                format!("{duty} at {}: {did}{late}", run.at)
            })
            .collect();
        let detail = lines.join("; ");
        if well {
            Condition::ok_with(detail)
        } else {
            Condition::degraded(detail)
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
