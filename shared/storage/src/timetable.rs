//! The timetable of a leader's duties: which run of each was enqueued last, and how it stands.
//!
//! A run is a job, and its key holds the time it was due. The line of the duty, the job and the leader's term go through
//! together or not at all: of two leaders, or of one that enqueues twice, one gets the run in, and a leader whose term is
//! over gets nothing in.

use bson::{Bson, Document, doc};
use certfleet_domain::{ServerId, Timestamp};
use certfleet_jobs::{Job, JobKey};
use futures_util::TryStreamExt;
use mongodb::Database;

use crate::collections::{DUTIES, JOBS, LEASES};
use crate::documents::to_bson_time;
use crate::error::{Corrupt, StorageError};
use crate::group::{Row, Unit, Write};
use crate::jobs::{JobState, Jobs};
use crate::leadership::{Leadership, Term};

/// The timetable of one role's duties.
#[derive(Clone)]
pub struct Timetable {
    database: Database,
    jobs: Jobs,
    role: &'static str,
}

/// A look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// When it was looked at, by the server's clock.
    pub now: Timestamp,
    /// The last run of each duty that ever had one.
    pub last: Vec<LastRun>,
}

/// The run of a duty that was enqueued last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// Whose run it is.
    pub duty: String,
    /// When it was due.
    pub due: Timestamp,
    /// Its job.
    pub job: JobKey,
    /// How the job stands; `None` once it is so long finished that it was removed.
    pub state: Option<JobState>,
}

impl LastRun {
    /// Whether it waits or is being done.
    pub fn goes_on(&self) -> bool {
        matches!(self.state, Some(JobState::Queued | JobState::Leased))
    }
}

/// A run to be enqueued.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Whose run it is.
    pub duty: &'a str,
    /// When it is due.
    pub due: Timestamp,
    /// The first time since the run before at which one was due: earlier than `due` if nobody led then, or the run before
    /// was not done.
    pub since: Timestamp,
    /// When the run before was due; `None` before the first.
    pub last: Option<Timestamp>,
    /// What it does; its key must hold `due`.
    pub job: &'a Job,
}

impl Timetable {
    pub(crate) fn new(database: &Database, jobs: Jobs, role: &'static str) -> Self {
        Self {
            database: database.clone(),
            jobs,
            role,
        }
    }

    /// What it says now; `None` if the role was never held.
    pub async fn read(&self) -> Result<Option<Look>, StorageError> {
        let run = doc! { "$lookup": {
            "from": JOBS, "localField": "job", "foreignField": "_id", "as": "run",
            "pipeline": [{ "$project": { "state": 1 } }],
        } };
        let pipeline = [
            doc! { "$match": { "_id": self.role } },
            doc! { "$lookup": { "from": DUTIES, "pipeline": [run], "as": "duties" } },
            doc! { "$project": { "duties": 1, "now": "$$NOW" } },
        ];
        let leases = self.database.collection::<Document>(LEASES);
        let mut found = leases.aggregate(pipeline).await?;
        let Some(line) = found.try_next().await? else {
            return Ok(None);
        };
        Ok(Some(look(&line)?))
    }

    /// The unit that enqueues a run and says so in the timetable. It holds only in this term, and if the run before is
    /// still the last one.
    pub fn enter(&self, me: ServerId, term: Term, run: Run<'_>) -> Result<Unit, StorageError> {
        let line = doc! {
            "due": to_bson_time(run.due),
            "since": to_bson_time(run.since),
            "job": run.job.key().as_str(),
            "term": term.0,
        };
        let row = Row::new(DUTIES, run.duty);
        let write = match run.last {
            None => {
                let mut document = doc! { "_id": run.duty };
                document.extend(line);
                Write::Insert { row, document }
            }
            Some(last) => Write::Update {
                row,
                guard: doc! { "due": to_bson_time(last) },
                update: Bson::Document(doc! { "$set": line }),
            },
        };
        Ok(Leadership::in_term(self.role, me, term)
            .and(Unit::of(write))
            .and(self.jobs.enqueue(run.job)?))
    }
}

fn look(line: &Document) -> Result<Look, Corrupt> {
    let corrupt = |id: &str, why: String| Corrupt {
        collection: DUTIES,
        id: id.to_owned(),
        why,
    };
    let now = line
        .get_datetime("now")
        .map_err(|error| corrupt("all", error.to_string()))?;
    let duties = line.get_array("duties").ok().into_iter().flatten();
    let last = duties.filter_map(Bson::as_document).map(|duty| {
        let id = duty.get_str("_id").unwrap_or("without _id");
        last_run(duty).map_err(|why| corrupt(id, why))
    });
    Ok(Look {
        now: now.to_time_0_3(),
        last: last.collect::<Result<_, _>>()?,
    })
}

fn last_run(duty: &Document) -> Result<LastRun, String> {
    let text = |field: &str| {
        let text = duty.get_str(field).map(str::to_owned);
        text.map_err(|error| format!("{field}: {error}"))
    };
    let due = duty
        .get_datetime("due")
        .map_err(|error| format!("due: {error}"))?;
    let run = duty.get_array("run").ok().and_then(|run| run.first());
    let state = run.and_then(Bson::as_document).map(|run| {
        let name = run.get_str("state").unwrap_or_default();
        JobState::of_name(name).ok_or_else(|| format!("its job is {name:?}"))
    });
    Ok(LastRun {
        duty: text("_id")?,
        due: due.to_time_0_3(),
        job: JobKey::from_stored(text("job")?),
        state: state.transpose()?,
    })
}
