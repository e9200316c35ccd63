//! A job as people look at it.

use bson::{Bson, Document};
use certfleet_domain::Timestamp;
use certfleet_jobs::Progress;

use super::document::JobState;
use crate::collections::JOBS;
use crate::error::Corrupt;

/// All that is kept of a job but what it is to do, which its kind and key say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Its key.
    pub key: String,
    /// Its kind; one of a newer build may be none of ours.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// How often it was claimed.
    pub attempts: u32,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it is due or, while a worker has it, when the lease runs out; `None` once it has ended.
    pub claimable_at: Option<Timestamp>,
    /// When it ended, well or not; `None` before.
    pub ended_at: Option<Timestamp>,
    /// The worker that has it.
    pub owner: Option<String>,
    /// How far it is, if it says so, and when it said so last.
    pub progress: Option<(Progress, Timestamp)>,
    /// Why attempts failed, the latest last.
    pub errors: Vec<JobError>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    /// When.
    pub at: Timestamp,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Why.
    pub error: String,
}

impl JobState {
    /// The state of this name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Reads a stored job.
pub(super) fn record(document: &Document) -> Result<JobRecord, Corrupt> {
    let id = document.get_str("_id").unwrap_or("without _id");
    read(document).map_err(|why| Corrupt {
        collection: JOBS,
        id: id.to_owned(),
        why,
    })
}

fn read(document: &Document) -> Result<JobRecord, String> {
    let state = text(document, "state")?;
    let lease = document.get_document("lease").ok();
    let errors = document.get_array("errors").ok();
    Ok(JobRecord {
        key: text(document, "_id")?,
        kind: text(document, "kind")?,
        state: JobState::of_name(&state).ok_or_else(|| format!("state: {state:?} is none"))?,
        attempts: count(document, "attempt")?,
        created_at: moment(document, "created_at")?.ok_or("created_at: it is missing")?,
        claimable_at: moment(document, "claimable_at")?,
        ended_at: moment(document, "finished_at")?.or(moment(document, "died_at")?),
        owner: lease.map(|lease| text(lease, "owner")).transpose()?,
        progress: document
            .get_document("progress")
            .ok()
            .map(progress)
            .transpose()?,
        errors: errors
            .into_iter()
            .flatten()
            .map(error)
            .collect::<Result<_, _>>()?,
    })
}

fn progress(entry: &Document) -> Result<(Progress, Timestamp), String> {
    let number = |field: &str| match entry.get(field) {
        None => Ok(None),
        Some(Bson::Int64(count)) => u64::try_from(*count)
            .map(Some)
            .map_err(|_| format!("progress: {field}: not a count")),
        Some(_) => Err(format!("progress: {field}: not a count")),
    };
    let progress = Progress {
        done: number("done")?.ok_or("progress: done: it is missing")?,
        total: number("total")?,
        of: text(entry, "of")?,
    };
    let at = moment(entry, "at")?.ok_or("progress: it has no time")?;
    Ok((progress, at))
}

fn error(entry: &Bson) -> Result<JobError, String> {
    let entry = entry.as_document().ok_or("errors: not documents")?;
    Ok(JobError {
        at: moment(entry, "at")?.ok_or("errors: one has no time")?,
        attempt: count(entry, "attempt")?,
        error: text(entry, "error")?,
    })
}

fn text(document: &Document, field: &str) -> Result<String, String> {
    let text = document.get_str(field);
    text.map(str::to_owned)
        .map_err(|error| format!("{field}: {error}"))
}

fn count(document: &Document, field: &str) -> Result<u32, String> {
    let count = match document.get(field) {
        Some(Bson::Int32(count)) => u32::try_from(*count).ok(),
        Some(Bson::Int64(count)) => u32::try_from(*count).ok(),
        _ => None,
    };
    count.ok_or_else(|| format!("{field}: not a count"))
}

fn moment(document: &Document, field: &str) -> Result<Option<Timestamp>, String> {
    match document.get(field) {
        None => Ok(None),
        Some(Bson::DateTime(at)) => Ok(Some(at.to_time_0_3())),
        Some(_) => Err(format!("{field}: not a time")),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn what_is_missing_or_strange_is_named() {
        let at = bson::DateTime::from_millis(1_700_000_000_000);
        let whole = doc! {
            "_id": "sign/1", "kind": "signCertificate", "state": "dead", "attempt": 2, "created_at": at,
            "died_at": at, "errors": [{ "at": at, "attempt": 2_i64, "error": "no" }],
        };
        let job = record(&whole).unwrap();
        assert_eq!((job.state, job.attempts), (JobState::Dead, 2));
        assert_eq!(job.ended_at, Some(at.to_time_0_3()));
        assert_eq!(job.errors[0].error, "no");
        for (field, value) in [
            ("state", Bson::from("asleep")),
            ("attempt", Bson::from(-1)),
            ("created_at", Bson::from("today")),
            ("errors", bson::bson!([{ "at": at, "attempt": 1 }])),
        ] {
            let mut broken = whole.clone();
            broken.insert(field, value);
            let error = record(&broken).unwrap_err();
            assert_eq!((error.collection, error.id.as_str()), (JOBS, "sign/1"));
        }
    }
}
