//! What a poll costs that finds nothing, with so many jobs that have finished.

use anyhow::{Context as _, Result, ensure};
use certfleet_domain::{ServerId, SystemClock, SystemRng};
use certfleet_jobs::{JobKind, Lane, Room};
use certfleet_storage::collections::JOBS;
use futures_util::TryStreamExt as _;
use mongodb::bson::{DateTime, Document, doc};
use tokio::time::Instant;

use crate::claimer::LEASE;
use certfleet_queue_load::ground::Space;

/// How many documents are inserted together.
const TOGETHER: usize = 10_000;

/// Puts the finished jobs in place, polls as an idle worker does, and gives what the server's profiler says of it.
pub async fn measure(space: &Space, finished: usize) -> Result<String> {
    let database = space.store.database();
    let jobs = database.collection::<Document>(JOBS);
    for first in (0..finished).step_by(TOGETHER) {
        let some = (first..finished.min(first + TOGETHER)).map(|number| {
            let bucket = i32::try_from(number % 64).unwrap_or_default();
            doc! {
                "_id": format!("sign/{number}"), "kind": "signCertificate", "bucket": bucket, "queue": 1,
                "state": "done", "finished_at": DateTime::now(), "fence": 1_i64, "attempt": 1,
            }
        });
        jobs.insert_many(some).await?;
    }
    let me = ServerId::generate(&SystemClock, &mut SystemRng);
    let claimer = space.store.jobs.claimer(me, JobKind::ALL.to_vec(), LEASE);
    database.run_command(doc! { "profile": 2 }).await?;
    let began = Instant::now();
    for lane in Lane::ALL {
        let mut room = Room::new(lane, 64, 64, []);
        let (clock, rng) = (&SystemClock, &mut SystemRng);
        let own = claimer.claim(&mut room, clock, rng).await?.len();
        let left = claimer.steal(&mut room, clock, rng).await?.len();
        let former = claimer.claim_unqueued(&mut room, clock, rng).await?.len();
        ensure!(own + left + former == 0, "there was something to claim");
    }
    let took = began.elapsed();
    database.run_command(doc! { "profile": 0 }).await?;
    let seen: Vec<Document> = database
        .collection::<Document>("system.profile")
        .find(doc! { "op": "query", "ns": format!("{}.{JOBS}", database.name()) })
        .await?
        .try_collect()
        .await?;
    let sum = |field: &str| -> Result<i64> {
        seen.iter()
            .map(|query| {
                let count = query.get(field).context("no count")?;
                let count = count.as_i64().or(count.as_i32().map(i64::from));
                count.context("no number")
            })
            .sum()
    };
    Ok(format!(
        "an idle poll of both lanes, with {finished} finished jobs: {} queries, {} keys and {} documents examined, {took:.1?}",
        seen.len(),
        sum("keysExamined")?,
        sum("docsExamined")?
    ))
}
