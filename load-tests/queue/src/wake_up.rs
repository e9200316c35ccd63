//! How soon a job is started that comes to an idle worker: from before it is enqueued until it is claimed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use certfleet_domain::{ServerId, SystemClock, SystemRng};
use certfleet_jobs::{JobKind, Lane, Room};
use certfleet_storage::jobs::JobFeed;
use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use certfleet_queue_load::ground::{Space, connect, job};

const PATIENCE: Duration = Duration::from_secs(5);

/// Enqueues so many jobs one by one, and claims each as a worker does.
pub async fn measure(space: &Space, count: usize) -> Result<String> {
    let store = connect(&space.uri, &space.database).await?;
    let me = ServerId::generate(&SystemClock, &mut SystemRng);
    let claimer = store
        .jobs
        .claimer(me, JobKind::ALL.to_vec(), Duration::from_secs(60));
    let stop = CancellationToken::new();
    let _ends_with_this = stop.clone().drop_guard();
    let feed = JobFeed::of_queued(store.database(), stop);
    // The first word is that the feed is there.
    feed.changed(PATIENCE).await;
    let mut times = Histogram::<u64>::new(3)?;
    for _ in 0..count {
        let began = Instant::now();
        space.store.jobs.ensure(&job()).await?;
        let mut room = [Room::new(Lane::Inside, 8, 8, [])];
        let mut heard = feed.heard(&mut room);
        while heard.is_empty() {
            feed.changed(PATIENCE).await;
            heard = feed.heard(&mut room);
            ensure!(began.elapsed() < PATIENCE, "nothing was heard of a job");
        }
        let leases = claimer
            .claim_heard(&heard, &SystemClock, &mut SystemRng)
            .await?;
        leases.first().context("it was not to be had")?;
        times.record(u64::try_from(began.elapsed().as_micros())?)?;
        sleep(Duration::from_millis(5)).await;
    }
    let at = |quantile: f64| Duration::from_micros(times.value_at_quantile(quantile));
    Ok(format!(
        "p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        at(0.5),
        at(0.99),
        Duration::from_micros(times.max())
    ))
}
