//! What a worker counts.

use certfleet_domain::{AuthorityName, ChallengeKind, Channel};
use certfleet_jobs::JobKind;
use certfleet_storage::Rewrapped;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};
use tokio::time::Instant;

use crate::issuing::IssuingError;

/// Counters of jobs and of what they do; clones share them.
#[derive(Clone)]
pub struct Metrics {
    jobs: IntCounterVec,
    seconds: HistogramVec,
    challenges: IntCounterVec,
    signatures: IntCounterVec,
    forwarded: IntCounter,
    not_forwarded: IntCounter,
    crls: IntCounter,
    rewrapped: IntCounter,
    not_rewrapped: IntGauge,
    notices: IntCounterVec,
}

/// What came of a look at a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeResult {
    /// It is proven, and that is written.
    Valid,
    /// It has failed, and that is written.
    Invalid,
    /// Trouble on our side, which decides nothing: it is looked at again.
    Trouble,
}

impl ChallengeResult {
    fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Trouble => "trouble",
        }
    }
}

impl Metrics {
    /// New counters, registered with `registry`.
    ///
    /// # Errors
    /// If counters of the same names are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let jobs = IntCounterVec::new(
            Opts::new(
                "certfleet_jobs_total",
                "Attempts at jobs by kind and outcome",
            ),
            &["kind", "outcome"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "certfleet_job_seconds",
                "Time of an attempt at a job, by kind",
            )
            .buckets(vec![
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
            ]),
            &["kind"],
        )?;
        let challenges = IntCounterVec::new(
            Opts::new(
                "certfleet_challenges_total",
                "Looks at challenges, by type and by what came of them",
            ),
            &["type", "result"],
        )?;
        let signatures = IntCounterVec::new(
            Opts::new(
                "certfleet_signatures_total",
                "Signatures that were asked for, by authority and by whether they were made",
            ),
            &["authority", "result"],
        )?;
        let forwarded = IntCounter::new(
            "certfleet_audit_forwarded_total",
            "Entries of the audit trail that a receiver has got",
        )?;
        let not_forwarded = IntCounter::new(
            "certfleet_audit_forwarding_failures_total",
            "Deliveries of the audit trail of which it is not known that they arrived",
        )?;
        let crls = IntCounter::new("certfleet_crls_published_total", "CRLs that were signed")?;
        let rewrapped = IntCounter::new(
            "certfleet_secrets_rewrapped_total",
            "Secrets that were sealed anew under the KEK that seals",
        )?;
        let not_rewrapped = IntGauge::new(
            "certfleet_secrets_not_rewrapped",
            "Secrets that the last run could not seal anew, because they do not open",
        )?;
        let notices = IntCounterVec::new(
            Opts::new(
                "certfleet_notices_total",
                "Notices that people were told, or could not be, by channel and result",
            ),
            &["channel", "result"],
        )?;
        for channel in Channel::ALL {
            for result in ["told", "failed"] {
                notices.with_label_values(&[channel.name(), result]);
            }
        }
        registry.register(Box::new(notices.clone()))?;
        registry.register(Box::new(jobs.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(challenges.clone()))?;
        registry.register(Box::new(signatures.clone()))?;
        registry.register(Box::new(forwarded.clone()))?;
        registry.register(Box::new(not_forwarded.clone()))?;
        registry.register(Box::new(crls.clone()))?;
        registry.register(Box::new(rewrapped.clone()))?;
        registry.register(Box::new(not_rewrapped.clone()))?;
        Ok(Self {
            jobs,
            seconds,
            challenges,
            signatures,
            forwarded,
            not_forwarded,
            crls,
            rewrapped,
            not_rewrapped,
            notices,
        })
    }

    /// A challenge was looked at.
    pub fn challenge(&self, kind: ChallengeKind, result: ChallengeResult) {
        self.challenges
            .with_label_values(&[kind.name(), result.name()])
            .inc();
    }

    /// An authority was asked for a signature.
    pub fn signature<T>(&self, authority: &AuthorityName, signed: &Result<T, IssuingError>) {
        let result = match signed {
            Ok(_) => "signed",
            Err(IssuingError::Passing(_)) => "trouble",
            Err(IssuingError::Refused(_)) => "refused",
        };
        self.signatures
            .with_label_values(&[authority.as_str(), result])
            .inc();
    }

    /// A receiver has got so many entries of the audit trail.
    pub fn forwarded(&self, entries: usize) {
        self.forwarded.inc_by(u64::try_from(entries).unwrap_or(0));
    }

    /// It is not known whether a receiver has got some.
    pub fn not_forwarded(&self) {
        self.not_forwarded.inc();
    }

    /// People were told so many notices, or could not be.
    pub fn told(&self, channel: Channel, told: bool, notices: usize) {
        let result = if told { "told" } else { "failed" };
        let notices = u64::try_from(notices).unwrap_or(0);
        self.notices
            .with_label_values(&[channel.name(), result])
            .inc_by(notices);
    }

    /// So many CRLs were signed, and are to be had.
    pub fn crls_published(&self, lists: u64) {
        self.crls.inc_by(lists);
    }

    /// Secrets were sealed anew, or could not be.
    pub fn rewrapped(&self, what: &Rewrapped) {
        self.rewrapped.inc_by(what.sealed);
        let left = i64::try_from(what.left.len()).unwrap_or(i64::MAX);
        self.not_rewrapped.set(left);
    }

    /// An attempt begins.
    #[expect(clippy::unused_self, reason = "the pair of `ended`")]
    pub fn started(&self, _kind: JobKind) -> Instant {
        Instant::now()
    }

    /// An attempt ended.
    pub fn ended(&self, kind: JobKind, outcome: &str, started: Instant) {
        self.jobs.with_label_values(&[kind.name(), outcome]).inc();
        self.seconds
            .with_label_values(&[kind.name()])
            .observe(started.elapsed().as_secs_f64());
    }
}
