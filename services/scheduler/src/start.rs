//! From settings to a working scheduler, and to its end.

use std::sync::Arc;

use certfleet_data_kit::{await_database, register, store};
use certfleet_domain::{Clock, ServerId, SystemClock};
use certfleet_service_kit::settings::{Scheduler, SchedulerSettings};
use certfleet_service_kit::{Condition, Context, Health, Importance};
use certfleet_storage::{Process, SCHEDULER, Store};

use crate::board::Board;
use crate::duties::{Duties, Recovery, RetentionDuty};
use crate::election::{Elector, Lease};
use crate::metrics::Metrics;

/// Stands for the lead until told to stop; then stops its duties and steps down.
pub async fn schedule(context: Context<SchedulerSettings>) -> anyhow::Result<()> {
    let settings = &context.settings.scheduler;
    let shutdown = &context.signals.shutdown;
    let store = store(
        &context.settings.database,
        "certfleet-scheduler",
        context.metrics.registry(),
    )
    .await?;
    if await_database(&store, &context.health, shutdown)
        .await?
        .is_none()
    {
        return Ok(());
    }
    let metrics = Metrics::register(context.metrics.registry())?;
    let board = Board::default();
    check_leader(&store, &board, &context.health);
    check_duties(&board, &context.health);
    let process = Process {
        id: context.server_id,
        service: "scheduler",
        version: env!("CARGO_PKG_VERSION"),
    };
    let registration = register(&store, process).await?;
    let elector = elector(&store, context.server_id, settings, metrics.clone());
    let duties = duties(&store, settings, board.clone(), metrics);
    context.health.started();
    elector.run(&duties, shutdown).await;
    registration.end().await;
    Ok(())
}

/// One who stands for the lead with these settings.
pub fn elector(
    store: &Store,
    me: ServerId,
    settings: &Scheduler,
    metrics: Metrics,
) -> Elector<Lease> {
    Elector {
        role: Lease {
            role: store.leadership(SCHEDULER),
            me,
            ttl: settings.lease_ttl,
        },
        ttl: settings.lease_ttl,
        renew_every: settings.renew_every,
        metrics,
    }
}

/// All duties there are.
pub fn duties(store: &Store, settings: &Scheduler, board: Board, metrics: Metrics) -> Duties {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let retention = RetentionDuty {
        store: store.clone(),
        orders: settings.retain_orders,
        authorizations: settings.retain_authorizations,
        jobs: settings.retain_jobs,
        clock: Arc::clone(&clock),
    };
    let recovery = Recovery {
        store: store.clone(),
    };
    Duties {
        list: vec![Box::new(recovery), Box::new(retention)],
        board,
        metrics,
        clock,
    }
}

fn check_leader(store: &Store, board: &Board, health: &Health) {
    let (role, board) = (store.leadership(SCHEDULER), board.clone());
    health.register("leader", Importance::Auxiliary, move || {
        let (role, board) = (role.clone(), board.clone());
        async move {
            if let Some(term) = board.term() {
                return Condition::ok_with(format!("this one, in term {}", term.0));
            }
            match role.holder().await {
                Ok(Some((id, term))) => Condition::ok_with(format!("{id}, in term {}", term.0)),
                Ok(None) => Condition::degraded("none"),
                Err(_) => Condition::degraded("not known: the database does not answer"),
            }
        }
    });
}

fn check_duties(board: &Board, health: &Health) {
    let board = board.clone();
    health.register("duties", Importance::Auxiliary, move || {
        let condition = board.duties();
        async move { condition }
    });
}
