//! What one client, and then a whole run, has to tell.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::steps::{Step, StepRow, Steps, Trace, as_f64};
use crate::client::failure::Failure;

/// Flows that ended within the measured time.
pub(crate) struct Tally {
    steps: Steps,
    connections: u64,
    retries: Retries,
    failures: BTreeMap<String, Failed>,
}

/// Requests that were sent again, by reason, flows that failed in the end included.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Retries {
    pub(crate) bad_nonce: u64,
    pub(crate) unavailable: u64,
    pub(crate) connection: u64,
}

/// Flows that failed alike.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failed {
    pub(crate) flows: u64,
    /// The first one's detail.
    pub(crate) example: String,
}

/// A run's result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// Certificates issued within the measured time.
    pub(crate) flows: u64,
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    pub(crate) flows_per_second: f64,
    pub(crate) requests_per_flow: f64,
    pub(crate) authorization_polls_per_flow: f64,
    pub(crate) order_polls_per_flow: f64,
    /// Connections opened; each client needs one, and another when the server closes it.
    pub(crate) connections: u64,
    pub(crate) steps: Vec<StepRow>,
    pub(crate) retries: Retries,
    pub(crate) failures: BTreeMap<String, Failed>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            steps: Steps::new()?,
            connections: 0,
            retries: Retries::default(),
            failures: BTreeMap::new(),
        })
    }

    pub(crate) fn succeeded(&mut self, trace: &Trace, took: Duration) {
        self.note_retries(trace);
        self.steps.add_flow(trace, took);
    }

    pub(crate) fn failed(&mut self, trace: &Trace, failure: Failure) {
        self.note_retries(trace);
        let failed = self.failures.entry(failure.kind).or_insert(Failed {
            flows: 0,
            example: failure.detail,
        });
        failed.flows += 1;
    }

    fn note_retries(&mut self, trace: &Trace) {
        self.connections += trace.connections;
        self.retries.bad_nonce += trace.bad_nonces;
        self.retries.unavailable += trace.unavailable;
        self.retries.connection += trace.reconnects;
    }

    /// Adds what another client, or another round, saw.
    pub(crate) fn merge(&mut self, other: Self) -> Result<()> {
        self.steps.merge(&other.steps)?;
        self.connections += other.connections;
        self.retries.bad_nonce += other.retries.bad_nonce;
        self.retries.unavailable += other.retries.unavailable;
        self.retries.connection += other.retries.connection;
        for (kind, failed) in other.failures {
            let mine = self.failures.entry(kind).or_insert(Failed {
                flows: 0,
                example: failed.example,
            });
            mine.flows += failed.flows;
        }
        Ok(())
    }

    /// The result over `measured` of time.
    pub(crate) fn summary(&self, measured: Duration) -> Summary {
        let flows = self.steps.flows();
        let seconds = measured.as_secs_f64();
        let per_flow = |count| as_f64(count) / as_f64(flows).max(1.0);
        Summary {
            flows,
            failed: self.failures.values().map(|failed| failed.flows).sum(),
            seconds,
            flows_per_second: if seconds > 0.0 {
                as_f64(flows) / seconds
            } else {
                0.0
            },
            requests_per_flow: per_flow(self.steps.requests()),
            authorization_polls_per_flow: per_flow(self.steps.count(Step::AuthorizationPoll)),
            order_polls_per_flow: per_flow(self.steps.count(Step::OrderPoll)),
            connections: self.connections,
            steps: self.steps.rows(),
            retries: self.retries,
            failures: self.failures.clone(),
        }
    }
}

impl Summary {
    /// The row of one step, if it was taken.
    pub(crate) fn step(&self, step: Step) -> Option<&StepRow> {
        self.steps.iter().find(|row| row.step == step)
    }
}
