//! The database does what the protocol says: both are played side by side, act by act, by workers that remember every
//! claim they ever made.

use std::collections::BTreeMap;
use std::time::Duration;

use certfleet_domain::{LeaseToken, SystemRng};
use certfleet_jobs::{Entry, JobKey, Lease, Moment, Outcome, Standing};
use certfleet_storage::Unit;
use certfleet_storage::collections::JOBS;
use certfleet_storage::jobs::{Claimer, JobState};
use mongodb::bson::{DateTime, Document, doc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::jobs::{claim, claimer, enqueue};
use crate::support::{Space, event, space};

/// Longer than the test takes: what has a lease or a due time of now plus this is not claimable, unless it is made so.
const LONG: Duration = Duration::from_secs(3600);
const NOW: Moment = Moment(0);
const PAST: Moment = Moment(-1_000);
const ACTS: usize = 80;
const WORKERS: usize = 2;

/// The protocol's view, and the workers with their claims.
struct World {
    space: Space,
    entries: BTreeMap<String, Entry>,
    workers: Vec<(Claimer, Vec<Lease>)>,
}

impl World {
    async fn new() -> Self {
        let space = space().await;
        let jobs = enqueue(&space, 3).await;
        let entries = jobs
            .iter()
            .map(|job| (job.key().to_string(), Entry::enqueued(NOW)));
        Self {
            entries: entries.collect(),
            workers: (0..WORKERS)
                .map(|_| (claimer(&space.store, LONG), Vec::new()))
                .collect(),
            space,
        }
    }

    async fn act(&mut self, rng: &mut StdRng) -> String {
        let keys: Vec<String> = self.entries.keys().cloned().collect();
        let key = keys.choose(rng).expect("a job").clone();
        let worker = rng.random_range(0..WORKERS);
        match rng.random_range(0..12) {
            0..3 => self.claim(worker).await,
            3 => self.renew(worker).await,
            4..9 => self.end(worker, rng).await,
            9 => self.time_passes(&key).await,
            10 => self.retry(&key).await,
            _ => self.discard(&key).await,
        }
    }

    async fn claim(&mut self, worker: usize) -> String {
        let (claimer, mine) = &mut self.workers[worker];
        let leases = claim(claimer, 10).await;
        let claimable = self
            .entries
            .values()
            .filter(|entry| entry.is_claimable(NOW));
        assert_eq!(
            leases.len(),
            claimable.count(),
            "what is claimable is claimed"
        );
        for lease in leases {
            let entry = self.entries.get_mut(lease.key.as_str()).expect("a job");
            *entry = entry
                .claim(lease.token, NOW, LONG)
                .expect("it may be claimed");
            assert_eq!((lease.fence, lease.attempt), (entry.fence, entry.attempt));
            mine.push(lease);
        }
        format!("worker {worker} claims")
    }

    async fn renew(&mut self, worker: usize) -> String {
        let (claimer, mine) = &self.workers[worker];
        // A worker knows one claim of each job: its last.
        let held: BTreeMap<&JobKey, LeaseToken> =
            mine.iter().map(|lease| (&lease.key, lease.token)).collect();
        let held: Vec<(JobKey, LeaseToken)> = held
            .into_iter()
            .map(|(key, token)| (key.clone(), token))
            .collect();
        let mut lost = claimer.renew(&held).await.expect("an answer");
        lost.sort();
        let mut due = Vec::new();
        for (key, token) in held {
            let entry = self.entries.get_mut(key.as_str()).expect("a job");
            match entry.renew(token, NOW, LONG) {
                Some(renewed) => *entry = renewed,
                None => due.push(key),
            }
        }
        assert_eq!(lost, due, "the leases that are lost");
        format!("worker {worker} renews")
    }

    async fn end(&mut self, worker: usize, rng: &mut StdRng) -> String {
        let mine = &self.workers[worker].1;
        let Some(lease) = mine.choose(rng) else {
            return format!("worker {worker} has nothing to end");
        };
        let error = || "$error".to_owned();
        let outcome = match rng.random_range(0..4) {
            0 => Outcome::Done,
            1 => Outcome::Release,
            2 => Outcome::Fail { error: error() },
            _ => Outcome::Retry {
                after: LONG,
                error: error(),
            },
        };
        let entry = self.entries.get_mut(lease.key.as_str()).expect("a job");
        let due = entry.end(lease.token, lease.fence, &outcome, NOW);
        let jobs = &self.space.store.jobs;
        let ended = jobs.complete(lease, &outcome, Unit::default()).await;
        match (&ended, due) {
            (Ok(()), Some(ended)) => *entry = ended,
            (Err(error), None) => assert!(error.is_lost_lease(), "{error}"),
            _ => panic!("{ended:?} where {due:?} is due, from {entry:?} by {outcome:?}"),
        }
        format!("worker {worker} ends {} with {outcome:?}", lease.key)
    }

    /// A lease runs out, or a job becomes due.
    async fn time_passes(&mut self, key: &str) -> String {
        let entry = self.entries.get_mut(key).expect("a job");
        match &mut entry.standing {
            Standing::Queued { due: from } | Standing::Leased { until: from, .. } => *from = PAST,
            Standing::Done | Standing::Dead | Standing::Discarded => {
                return format!("no time passes for {key}");
            }
        }
        let past = vec![doc! { "$set": {
            "claimable_at": { "$subtract": ["$$NOW", 1_000_i64] },
        } }];
        self.space.alter(JOBS, doc! { "_id": key }, past).await;
        format!("time passes for {key}")
    }

    async fn retry(&mut self, key: &str) -> String {
        let jobs = &self.space.store.jobs;
        let done = jobs.retry(&JobKey::from_stored(key), &event()).await;
        let entry = self.entries.get_mut(key).expect("a job");
        let due = entry.retry(NOW);
        assert_eq!(done.expect("an answer"), due.is_some());
        *entry = due.unwrap_or(*entry);
        format!("{key} is tried again")
    }

    async fn discard(&mut self, key: &str) -> String {
        let jobs = &self.space.store.jobs;
        let done = jobs.discard(&JobKey::from_stored(key), &event()).await;
        let entry = self.entries.get_mut(key).expect("a job");
        let due = entry.discard();
        assert_eq!(done.expect("an answer"), due.is_some());
        *entry = due.unwrap_or(*entry);
        format!("{key} is put away")
    }

    /// Both say the same of every job.
    async fn compare(&self, story: &[String]) {
        let hello = self.space.store.database().run_command(doc! { "hello": 1 });
        let hello = hello.await.expect("an answer");
        let now = *hello.get_datetime("localTime").expect("a time");
        for (key, entry) in &self.entries {
            let found = self.space.raw(JOBS).find_one(doc! { "_id": key }).await;
            let stored = found.expect("a read").expect("the job");
            assert_eq!(seen(&stored, now), told(entry), "{key}, after {story:#?}");
        }
    }
}

type View = (JobState, bool, Option<String>, i64, u32);

/// State, whether it is claimable, whose it is, fence, attempt.
fn seen(stored: &Document, now: DateTime) -> View {
    let state = stored.get_str("state").expect("a state");
    let state = JobState::ALL.into_iter().find(|one| one.name() == state);
    let lease = stored.get_document("lease").ok();
    let token = lease.map(|lease| lease.get_str("token").expect("a token").to_owned());
    let claimable = stored
        .get_datetime("claimable_at")
        .is_ok_and(|at| *at <= now);
    let attempt = u32::try_from(stored.get_i32("attempt").expect("a count"));
    let fence = stored.get_i64("fence").expect("a fence");
    (
        state.expect("a known state"),
        claimable,
        token,
        fence,
        attempt.expect("a count"),
    )
}

fn told(entry: &Entry) -> View {
    let (state, token) = match entry.standing {
        Standing::Queued { .. } => (JobState::Queued, None),
        Standing::Leased { by, .. } => (JobState::Leased, Some(by.to_string())),
        Standing::Done => (JobState::Done, None),
        Standing::Dead => (JobState::Dead, None),
        Standing::Discarded => (JobState::Discarded, None),
    };
    (
        state,
        entry.is_claimable(NOW),
        token,
        entry.fence.0,
        entry.attempt,
    )
}

#[tokio::test]
async fn the_database_does_what_the_protocol_says() {
    // Another story each time, and a seed to tell it again.
    let first: u64 = SystemRng.random();
    for seed in first..first.saturating_add(4) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::new().await;
        let mut story = vec![format!("seed {seed}")];
        for _ in 0..ACTS {
            story.push(world.act(&mut rng).await);
            world.compare(&story).await;
        }
    }
}
