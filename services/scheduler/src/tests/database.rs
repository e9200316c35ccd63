//! Schedulers over one database.

use std::collections::BTreeMap;
use std::time::Duration;

use certfleet_domain::{ServerId, SystemClock, SystemRng, Timestamp};
use certfleet_jobs::{Job, JobKind};
use certfleet_service_kit::Status;
use certfleet_service_kit::settings::{Revocation, Scheduler, Siem};
use certfleet_storage::jobs::JobState;
use certfleet_storage::{
    CommitError, ConnectSettings, Metrics as StorageMetrics, Run, SCHEDULER, Store, Term,
};
use certfleet_testkit::TestDatabase;
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::condition::condition;
use crate::duties::{self, Duty};
use crate::metrics::Metrics;
use crate::office::{Leading, SchedulerOffice};
use crate::slot::Slot;
use crate::start::{elector, office};

const PATIENCE: Duration = Duration::from_secs(30);

/// A duty that is due every second. What it does, nobody does here.
fn ticking() -> Duty {
    Duty {
        name: "ticking",
        every: Duration::from_secs(1),
        job: Box::new(|slot| Job::RecoverWork {
            due: slot.due.unix_timestamp(),
            since: slot.since.unix_timestamp(),
        }),
    }
}

fn settings() -> Scheduler {
    Scheduler {
        lease_ttl: Duration::from_secs(4),
        renew_every: Duration::from_millis(200),
        ..Scheduler::default()
    }
}

async fn connect(database: &TestDatabase) -> Store {
    let settings = ConnectSettings {
        uri: database.uri().to_owned(),
        database: database.name().to_owned(),
        max_pool_size: 5,
        connect_timeout: Duration::from_secs(5),
        server_selection_timeout: Duration::from_secs(10),
        heartbeat: Duration::from_secs(1),
        app_name: "scheduler-tests".to_owned(),
    };
    let metrics = StorageMetrics::register(&Registry::new()).expect("a registry of its own");
    Store::connect(&settings, metrics).await.expect("a store")
}

/// A store with the schema in place.
async fn migrated(database: &TestDatabase) -> Store {
    let store = connect(database).await;
    certfleet_migrations::migrate(&store, server_id())
        .await
        .expect("the schema is put in place");
    store
}

fn server_id() -> ServerId {
    ServerId::generate(&SystemClock, &mut SystemRng)
}

fn metrics() -> Metrics {
    Metrics::register(&Registry::new()).expect("a registry of its own")
}

fn office_of(store: &Store, duties: Vec<Duty>) -> SchedulerOffice {
    office(store, server_id(), duties, metrics())
}

/// A scheduler that runs.
struct Running {
    leading: Leading,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(database: &TestDatabase) -> Self {
        let store = connect(database).await;
        let shutdown = CancellationToken::new();
        let office = office_of(&store, vec![ticking()]);
        let elector = elector(&store, office.me, &settings(), metrics());
        Self {
            leading: office.leading.clone(),
            task: tokio::spawn({
                let shutdown = shutdown.clone();
                async move { elector.run(&office, &shutdown).await }
            }),
            shutdown,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("it ends");
        assert_eq!(self.leading.term(), None);
    }
}

async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Does the duty's jobs, like a worker; keeps book of when each was due, and since when.
async fn work(store: &Store, runs: &mut Vec<(i64, i64)>) {
    use certfleet_jobs::{Lane, Outcome, Room};
    let claimer = store.jobs.claimer(
        server_id(),
        vec![JobKind::RecoverWork],
        Duration::from_secs(60),
    );
    let mut room = Room::new(Lane::Inside, 10, 10, []);
    let leases = claimer
        .claim(&mut room, &SystemClock, &mut SystemRng)
        .await
        .expect("a claim");
    for lease in leases {
        let Job::RecoverWork { due, since } = lease.job else {
            panic!("not asked for: {:?}", lease.job);
        };
        runs.push((since, due));
        let done = store
            .jobs
            .complete(&lease, &Outcome::Done, certfleet_storage::Unit::default());
        done.await.expect("done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_when_it_steps_down_the_other_does_and_no_run_is_missed() {
    let database = certfleet_testkit::database().await;
    let store = migrated(&database).await;
    let first = Running::start(&database).await;
    let term = eventually("a leader", async || first.leading.term()).await;
    let second = Running::start(&database).await;
    let mut runs = Vec::new();
    eventually("two runs", async || {
        work(&store, &mut runs).await;
        (runs.len() >= 2).then_some(())
    })
    .await;
    assert_eq!(second.leading.term(), None, "two lead");

    let stopped = Instant::now();
    first.stop().await;
    let next = eventually("another leader", async || second.leading.term()).await;
    assert!(next > term);
    assert!(
        stopped.elapsed() < Duration::from_secs(2),
        "{:?}",
        stopped.elapsed()
    );
    let before = runs.len();
    eventually("two more runs", async || {
        work(&store, &mut runs).await;
        (runs.len() >= before + 2).then_some(())
    })
    .await;
    second.stop().await;
    // Each second is of one run.
    for pair in runs.windows(2) {
        let ((_, due), (since, _)) = (pair[0], pair[1]);
        assert_eq!(since, due + 1, "{runs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deposed_leads_no_more() {
    let database = certfleet_testkit::database().await;
    let store = migrated(&database).await;
    let leader = Running::start(&database).await;
    let term = eventually("a leader", async || leader.leading.term()).await;

    // As if the lease had run out while the leader slept, and another had taken it.
    let role = store.leadership(SCHEDULER);
    let (holder, _) = role.holder().await.expect("an answer").expect("a holder");
    role.step_down(holder, term).await.expect("stepped down");
    let taken = role.hold(server_id(), Duration::from_secs(60)).await;
    eventually("the end of its term", async || {
        (leader.leading.term() != Some(term)).then_some(())
    })
    .await;
    // It may have renewed in between the two, and then leads anew, in another term.
    if taken.expect("an answer").is_none() {
        let next = eventually("another term", async || leader.leading.term()).await;
        assert!(next > term);
    }
    leader.stop().await;
}

/// Some time.
fn due() -> Timestamp {
    Timestamp::from_unix_timestamp(1_700_000_000).expect("a time")
}

fn job_at(due: Timestamp) -> Job {
    (ticking().job)(Slot { due, since: due })
}

async fn enter(
    store: &Store,
    me: ServerId,
    term: Term,
    last: Option<Timestamp>,
    due: Timestamp,
) -> Result<(), CommitError> {
    let job = job_at(due);
    let run = Run {
        duty: "ticking",
        due,
        since: due,
        last,
        job: &job,
    };
    let unit = store.timetable(SCHEDULER).enter(me, term, run)?;
    store.commit(unit).await
}

/// The heart of it: one who was paused past its lease, and wakes up with a run in its hands.
#[tokio::test(flavor = "multi_thread")]
async fn who_led_before_can_enqueue_nothing() {
    let database = certfleet_testkit::database().await;
    let store = migrated(&database).await;
    let role = store.leadership(SCHEDULER);
    let (old, new) = (server_id(), server_id());
    let minute = Duration::from_secs(60);
    let old_term = role.hold(old, minute).await.expect("an answer");
    let old_term = old_term.expect("nobody has it");
    enter(&store, old, old_term, None, due())
        .await
        .expect("it leads");

    role.step_down(old, old_term).await.expect("stepped down");
    let new_term = role.hold(new, minute).await.expect("an answer");
    let new_term = new_term.expect("it is free");
    let later = due() + Duration::from_secs(1);
    let refused = enter(&store, old, old_term, Some(due()), later).await;
    assert!(
        matches!(
            refused,
            Err(CommitError::Changed {
                collection: "leases",
                ..
            })
        ),
        "{refused:?}"
    );
    // Another's term is nobody's own.
    let refused = enter(&store, old, new_term, Some(due()), later).await;
    assert!(refused.is_err());
    let key = job_at(later).key();
    assert_eq!(store.jobs.state(&key).await.expect("an answer"), None);

    enter(&store, new, new_term, Some(due()), later)
        .await
        .expect("it leads");
    let again = enter(&store, new, new_term, Some(due()), later).await;
    assert!(
        matches!(
            again,
            Err(CommitError::Changed {
                collection: "duties",
                ..
            })
        ),
        "{again:?}"
    );
    let state = store.jobs.state(&key).await.expect("an answer");
    assert_eq!(state, Some(JobState::Queued));
}

/// Many who believe that they lead, in the same term: as after a renewal of which each knows nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_enqueued_once_whoever_tries() {
    let database = certfleet_testkit::database().await;
    let store = migrated(&database).await;
    let me = server_id();
    let role = store.leadership(SCHEDULER);
    let held = role.hold(me, Duration::from_secs(60)).await;
    let term = held.expect("an answer").expect("nobody has it");
    let others: Vec<Store> = {
        let mut others = Vec::new();
        for _ in 0..4 {
            others.push(connect(&database).await);
        }
        others
    };
    for last in [None, Some(due())] {
        let now = last.map_or(due(), |last| last + Duration::from_secs(1));
        let tries = others
            .iter()
            .cycle()
            .take(16)
            .map(|store| enter(store, me, term, last, now));
        let results = futures_util::future::join_all(tries).await;
        let entered = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(entered, 1, "{results:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_on_is_not_overtaken_and_the_next_is_for_what_was_missed() {
    let database = certfleet_testkit::database().await;
    let store = migrated(&database).await;
    let scheduler = Running::start(&database).await;
    eventually("a leader", async || scheduler.leading.term()).await;
    let timetable = store.timetable(SCHEDULER);
    let first = eventually("a run", async || {
        let look = timetable.read().await.expect("an answer")?;
        look.last.first().cloned()
    })
    .await;
    // Two of its times pass, and nobody does it.
    eventually("time to pass", async || {
        let look = timetable.read().await.expect("an answer")?;
        (look.now - first.due > Duration::from_millis(2_200)).then_some(())
    })
    .await;
    let look = timetable.read().await.expect("an answer").expect("a look");
    assert_eq!(look.last, std::slice::from_ref(&first));

    work(&store, &mut Vec::new()).await;
    let lines = store
        .database()
        .collection::<BTreeMap<String, bson::Bson>>("duties");
    let next = eventually("the next run", async || {
        let line = lines.find_one(bson::doc! {}).await.expect("an answer")?;
        let due = line
            .get("due")
            .and_then(bson::Bson::as_datetime)?
            .to_time_0_3();
        (due > first.due).then_some((line, due))
    })
    .await;
    let since = next.0.get("since").and_then(bson::Bson::as_datetime);
    let since = since.expect("a time").to_time_0_3();
    assert_eq!(since, first.due + Duration::from_secs(1));
    assert!(next.1 > since, "{next:?}");
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_duties_are_enqueued_and_it_is_told_how_they_are() {
    let database = certfleet_testkit::database().await;
    let store = migrated(&database).await;
    let duties = duties::all(&settings(), &Siem::default(), &Revocation::default());
    let well = condition(&duties, None);
    assert_eq!(well.status, Status::Degraded, "{well:?}");

    let me = server_id();
    let role = store.leadership(SCHEDULER);
    let held = role.hold(me, Duration::from_secs(60)).await;
    let term = held.expect("an answer").expect("nobody has it");
    let office = office(
        &store,
        me,
        duties::all(&settings(), &Siem::default(), &Revocation::default()),
        metrics(),
    );
    office.tick(term).await.expect("an answer");
    let look = office.timetable.read().await.expect("an answer");
    let mut look = look.expect("it leads");
    let waiting = condition(&duties, Some(&look));
    assert_eq!(waiting.status, Status::Ok, "{waiting:?}");
    let detail = waiting.detail.expect("how they are");
    for duty in ["recovery of ", "retention of ", "waits for a worker"] {
        assert!(detail.contains(duty), "{detail}");
    }

    look.last[0].state = Some(JobState::Dead);
    let given_up = condition(&duties, Some(&look));
    assert_eq!(given_up.status, Status::Degraded, "{given_up:?}");
    look.last[0].state = Some(JobState::Done);
    look.now += Duration::from_secs(600);
    let overdue = condition(&duties, Some(&look));
    assert_eq!(overdue.status, Status::Degraded, "{overdue:?}");
}
