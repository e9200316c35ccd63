//! Two schedulers over one database.

use std::sync::Arc;
use std::time::Duration;

use certfleet_domain::{ServerId, SystemClock, SystemRng};
use certfleet_service_kit::settings::Scheduler;
use certfleet_service_kit::{Condition, Status};
use certfleet_storage::{ConnectSettings, Metrics as StorageMetrics, SCHEDULER, Store, Term};
use certfleet_testkit::TestDatabase;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use prometheus::Registry;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::duties::{Duties, Duty};
use crate::metrics::Metrics;
use crate::start::{duties, elector};

const PATIENCE: Duration = Duration::from_secs(30);

/// Tells of each of its runs.
struct Telling {
    runs: mpsc::UnboundedSender<()>,
}

impl Duty for Telling {
    fn name(&self) -> &'static str {
        "telling"
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(20)
    }

    fn run(&self) -> BoxFuture<'_, Result<String, certfleet_storage::StorageError>> {
        async {
            self.runs.send(()).ok();
            Ok("told".to_owned())
        }
        .boxed()
    }
}

fn settings() -> Scheduler {
    Scheduler {
        lease_ttl: Duration::from_secs(4),
        renew_every: Duration::from_millis(200),
        ..Scheduler::default()
    }
}

async fn store(database: &TestDatabase) -> Store {
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

fn server_id() -> ServerId {
    ServerId::generate(&SystemClock, &mut SystemRng)
}

struct Running {
    runs: mpsc::UnboundedReceiver<()>,
    board: Board,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(database: &TestDatabase) -> Self {
        let store = store(database).await;
        let (tell, runs) = mpsc::unbounded_channel();
        let (board, shutdown) = (Board::default(), CancellationToken::new());
        let metrics = Metrics::register(&Registry::new()).expect("a registry of its own");
        let elector = elector(&store, server_id(), &settings(), metrics.clone());
        let duties = Duties {
            list: vec![Box::new(Telling { runs: tell })],
            board: board.clone(),
            metrics,
            clock: Arc::new(SystemClock),
        };
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { elector.run(&duties, &shutdown).await }
        });
        Self {
            runs,
            board,
            shutdown,
            task,
        }
    }

    /// Waits for the next run of its duty.
    async fn performs(&mut self) {
        while self.runs.try_recv().is_ok() {}
        let run = timeout(PATIENCE, self.runs.recv()).await;
        run.expect("its duty runs").expect("it is there");
    }

    async fn leads_no_more_in(&self, term: Term) {
        let deposed = async {
            while self.board.term() == Some(term) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, deposed).await.expect("it is deposed");
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        self.task.await.expect("it ends");
        while self.runs.try_recv().is_ok() {}
        assert!(self.runs.recv().await.is_none(), "its duties have ended");
        assert_eq!(self.board.term(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_when_it_steps_down_the_other_does() {
    let database = certfleet_testkit::database().await;
    let mut first = Running::start(&database).await;
    first.performs().await;
    let mut second = Running::start(&database).await;
    first.performs().await;
    let first_term = first.board.term().expect("it leads");
    assert!(second.runs.try_recv().is_err(), "two lead");
    assert_eq!(second.board.duties(), Condition::ok_with("standing by"));

    first.stop().await;
    second.performs().await;
    second.performs().await;
    assert!(second.board.term() > Some(first_term));
    let condition = second.board.duties();
    assert_eq!(condition.status, Status::Ok, "{condition:?}");
    let detail = condition.detail.expect("what it did");
    assert!(detail.contains("telling at"), "{detail}");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deposed_stops_its_duties() {
    let database = certfleet_testkit::database().await;
    let mut leader = Running::start(&database).await;
    leader.performs().await;

    // As if the lease had run out while the leader slept, and another had taken it.
    let term = leader.board.term().expect("it leads");
    let role = store(&database).await.leadership(SCHEDULER);
    let (holder, _) = role.holder().await.expect("an answer").expect("a holder");
    role.step_down(holder, term).await.expect("stepped down");
    let usurper = server_id();
    let taken = role.hold(usurper, Duration::from_secs(60)).await;
    leader.leads_no_more_in(term).await;
    // It may have renewed in between the two, and then leads anew, in another term.
    if taken.expect("an answer").is_none() {
        leader.performs().await;
        assert!(leader.board.term() > Some(term));
    }
    leader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_duties_run_and_say_what_they_did() {
    let database = certfleet_testkit::database().await;
    let store = store(&database).await;
    certfleet_migrations::migrate(&store, server_id())
        .await
        .expect("the schema is put in place");
    let board = Board::default();
    let metrics = Metrics::register(&Registry::new()).expect("a registry of its own");
    let duties = duties(&store, &settings(), board.clone(), metrics);
    let _leading = board.leading(Term(1));
    for duty in &duties.list {
        let did = duty.run().await.expect("it is done");
        assert!(did.contains('0'), "{did}");
        board.note(duty.name(), duty.interval(), duties.clock.now(), Some(did));
    }
    let condition = board.duties();
    assert_eq!(condition.status, Status::Ok, "{condition:?}");
    board.note("recovery", PATIENCE, duties.clock.now(), None);
    let condition = board.duties();
    assert_eq!(condition.status, Status::Degraded, "{condition:?}");
}
