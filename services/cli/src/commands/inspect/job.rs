//! A job as it is shown beside what it is for.

use certfleet_domain::Timestamp;
use certfleet_jobs::Job;
use certfleet_storage::Store;
use certfleet_storage::jobs::JobRecord;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Sheet, moment, moment_or_none};

/// A job as it is shown.
#[derive(Debug, Serialize)]
pub struct JobView {
    key: String,
    kind: String,
    state: &'static str,
    attempts: u32,
    #[serde(with = "time::serde::rfc3339")]
    created_at: Timestamp,
    /// When it is due, or its lease runs out.
    #[serde(with = "time::serde::rfc3339::option")]
    due_at: Option<Timestamp>,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<Timestamp>,
    owner: Option<String>,
    progress: Option<ProgressView>,
    errors: Vec<JobErrorView>,
}

#[derive(Debug, Serialize)]
struct ProgressView {
    done: u64,
    total: Option<u64>,
    of: String,
    /// All three, for people.
    #[serde(skip)]
    so_far: String,
    #[serde(with = "time::serde::rfc3339")]
    at: Timestamp,
}

#[derive(Debug, Serialize)]
struct JobErrorView {
    #[serde(with = "time::serde::rfc3339")]
    at: Timestamp,
    attempt: u32,
    error: String,
}

impl JobView {
    /// The stored job, if there is one. Those that have ended are not kept for ever.
    pub async fn of(store: &Store, job: &Job) -> Result<Option<Self>, Failure> {
        Ok(store.jobs.find(&job.key()).await?.map(Self::from))
    }

    /// Writes many, a line each.
    pub fn table(sheet: &mut Sheet, jobs: &[Self]) {
        let row = |job: &Self| {
            let error = job.errors.last().map(|failed| failed.error.as_str());
            [
                job.key.clone(),
                job.state.to_owned(),
                job.attempts.to_string(),
                moment_or_none(job.due_at.or(job.ended_at)),
                job.owner.clone().unwrap_or_default(),
                error.unwrap_or_default().to_owned(),
            ]
        };
        let header = [
            "job",
            "state",
            "attempts",
            "due or ended",
            "worker",
            "last error",
        ];
        sheet.table(header, jobs.iter().map(row));
    }

    /// Its state in a word or two.
    pub fn state(&self) -> String {
        match self.attempts {
            0 | 1 => self.state.to_owned(),
            attempts => format!("{} (attempt {attempts})", self.state),
        }
    }

    /// Whether an attempt failed.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Writes it in full.
    pub fn write(&self, sheet: &mut Sheet) {
        sheet.title(format_args!("Job {}", self.key));
        sheet.pairs([
            ("state", self.state.to_owned()),
            ("attempts", self.attempts.to_string()),
            ("created", moment(self.created_at)),
            ("due", moment_or_none(self.due_at)),
            ("ended", moment_or_none(self.ended_at)),
            ("worker", self.owner.clone().unwrap_or_default()),
        ]);
        if let Some(progress) = &self.progress {
            let so_far = format!("{} ({})", progress.so_far, moment(progress.at));
            sheet.pairs([("progress", so_far)]);
        }
        for failed in &self.errors {
            sheet.pairs([(
                "error",
                format!(
                    "{} (attempt {}, {})",
                    failed.error,
                    failed.attempt,
                    moment(failed.at)
                ),
            )]);
        }
    }
}

impl From<JobRecord> for JobView {
    fn from(job: JobRecord) -> Self {
        let errors = job.errors.into_iter().map(|failed| JobErrorView {
            at: failed.at,
            attempt: failed.attempt,
            error: failed.error,
        });
        Self {
            key: job.key,
            kind: job.kind,
            state: job.state.name(),
            attempts: job.attempts,
            created_at: job.created_at,
            due_at: job.claimable_at,
            ended_at: job.ended_at,
            owner: job.owner,
            progress: job.progress.map(|(progress, at)| ProgressView {
                so_far: progress.to_string(),
                done: progress.done,
                total: progress.total,
                of: progress.of,
                at,
            }),
            errors: errors.collect(),
        }
    }
}
