//! Where a flow's time goes: a histogram per step.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

/// A part of a flow. The first ten follow one another and add up to the flow; `Validation` and `Issuance` span
/// several of them, and `Flow` all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Step {
    NewNonce,
    NewAccount,
    NewOrder,
    Authorization,
    Challenge,
    AuthorizationPoll,
    Finalize,
    OrderPoll,
    Download,
    /// The client's own waiting between polls.
    Pause,
    /// From the challenge's POST until the authorization is seen valid.
    Validation,
    /// From the finalize POST until the order is seen valid.
    Issuance,
    Flow,
}

impl Step {
    pub(crate) const ALL: [Self; 13] = [
        Self::NewNonce,
        Self::NewAccount,
        Self::NewOrder,
        Self::Authorization,
        Self::Challenge,
        Self::AuthorizationPoll,
        Self::Finalize,
        Self::OrderPoll,
        Self::Download,
        Self::Pause,
        Self::Validation,
        Self::Issuance,
        Self::Flow,
    ];

    /// Whether this spans steps that have rows of their own.
    pub(crate) fn is_span(self) -> bool {
        self > Self::Pause
    }

    /// Whether this is one request.
    fn is_request(self) -> bool {
        self < Self::Pause
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NewNonce => "newNonce",
            Self::NewAccount => "newAccount",
            Self::NewOrder => "newOrder",
            Self::Authorization => "authorization",
            Self::Challenge => "challenge",
            Self::AuthorizationPoll => "authorization poll",
            Self::Finalize => "finalize",
            Self::OrderPoll => "order poll",
            Self::Download => "download",
            Self::Pause => "client's pause",
            Self::Validation => "challenge to valid",
            Self::Issuance => "finalize to valid",
            Self::Flow => "whole flow",
        })
    }
}

/// What one flow has seen.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    steps: Vec<(Step, Duration)>,
    pub(crate) connections: u64,
    pub(crate) bad_nonces: u64,
    pub(crate) unavailable: u64,
    pub(crate) reconnects: u64,
}

impl Trace {
    /// Adds a step, or a span that ends now.
    pub(crate) fn record(&mut self, step: Step, took: Duration) {
        self.steps.push((step, took));
    }

    /// The step that was taken last.
    pub(crate) fn last(&self) -> Option<Step> {
        self.steps.last().map(|(step, _)| *step)
    }
}

/// The steps of many flows.
pub(crate) struct Steps {
    histograms: Vec<Histogram<u64>>,
}

/// One step over a run. Times are in milliseconds, measured to three digits.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StepRow {
    pub(crate) step: Step,
    pub(crate) per_flow: f64,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Of the flows' whole time, in percent.
    pub(crate) share_percent: f64,
}

impl Steps {
    pub(crate) fn new() -> Result<Self> {
        // Microseconds, up to two minutes, to three digits.
        let histogram = Histogram::new_with_bounds(1, 120_000_000, 3)?;
        Ok(Self {
            histograms: vec![histogram; Step::ALL.len()],
        })
    }

    /// Adds a flow that took `whole`.
    pub(crate) fn add_flow(&mut self, trace: &Trace, whole: Duration) {
        for &(step, took) in &trace.steps {
            self.add(step, took);
        }
        self.add(Step::Flow, whole);
    }

    fn add(&mut self, step: Step, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.histograms[step as usize].saturating_record(micros);
    }

    /// Adds what another client saw.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        for (mine, theirs) in self.histograms.iter_mut().zip(&other.histograms) {
            mine.add(theirs)?;
        }
        Ok(())
    }

    pub(crate) fn flows(&self) -> u64 {
        self.histogram(Step::Flow).len()
    }

    /// Requests sent, of any kind.
    pub(crate) fn requests(&self) -> u64 {
        let requests = Step::ALL.into_iter().filter(|step| step.is_request());
        requests.map(|step| self.histogram(step).len()).sum()
    }

    /// How often `step` was taken.
    pub(crate) fn count(&self, step: Step) -> u64 {
        self.histogram(step).len()
    }

    fn histogram(&self, step: Step) -> &Histogram<u64> {
        &self.histograms[step as usize]
    }

    /// One row for each step that was taken, the whole flow last.
    pub(crate) fn rows(&self) -> Vec<StepRow> {
        let whole = self.histogram(Step::Flow);
        let whole_time = whole.mean() * as_f64(whole.len());
        let rows = Step::ALL.into_iter().map(|step| {
            let histogram = self.histogram(step);
            let at = |quantile| as_f64(histogram.value_at_quantile(quantile)) / 1e3;
            let count = as_f64(histogram.len());
            StepRow {
                step,
                per_flow: count / as_f64(whole.len()).max(1.0),
                mean_ms: histogram.mean() / 1e3,
                p50_ms: at(0.5),
                p90_ms: at(0.9),
                p99_ms: at(0.99),
                max_ms: as_f64(histogram.max()) / 1e3,
                share_percent: 100.0 * histogram.mean() * count / whole_time.max(1.0),
            }
        });
        rows.filter(|row| row.per_flow > 0.0).collect()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and microseconds here are far below 2^52"
)]
pub(crate) fn as_f64(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(steps: &Steps, step: Step) -> StepRow {
        let rows = steps.rows();
        rows.into_iter().find(|row| row.step == step).unwrap()
    }

    fn near(value: f64, expected: f64) -> bool {
        (value - expected).abs() <= expected * 0.002
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut steps = Steps::new().unwrap();
        for ms in 1..=1000 {
            let mut trace = Trace::default();
            trace.record(Step::NewOrder, Duration::from_millis(ms));
            steps.add_flow(&trace, Duration::from_millis(2 * ms));
        }
        let order = row(&steps, Step::NewOrder);
        assert!(near(order.p50_ms, 500.0), "{order:?}");
        assert!(near(order.p90_ms, 900.0), "{order:?}");
        assert!(near(order.p99_ms, 990.0), "{order:?}");
        assert!(near(order.max_ms, 1000.0), "{order:?}");
        assert!(near(order.mean_ms, 500.5), "{order:?}");
        assert!(near(order.share_percent, 50.0), "{order:?}");
        assert!(near(row(&steps, Step::Flow).p99_ms, 1980.0));
    }

    #[test]
    fn merged_steps_count_together_and_untaken_steps_have_no_row() {
        let (mut a, mut b) = (Steps::new().unwrap(), Steps::new().unwrap());
        let mut trace = Trace::default();
        trace.record(Step::OrderPoll, Duration::from_millis(1));
        trace.record(Step::OrderPoll, Duration::from_millis(1));
        trace.record(Step::Issuance, Duration::from_millis(3));
        a.add_flow(&trace, Duration::from_millis(4));
        b.add_flow(&Trace::default(), Duration::from_millis(4));
        a.merge(&b).unwrap();
        assert_eq!(a.flows(), 2);
        assert_eq!(a.requests(), 2);
        assert!(near(row(&a, Step::OrderPoll).per_flow, 1.0));
        assert!(a.rows().iter().all(|row| row.step != Step::Finalize));
    }

    #[test]
    fn steps_are_numbered_as_they_are_listed() {
        for (number, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, number);
        }
    }
}
