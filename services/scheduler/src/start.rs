//! From settings to a working scheduler, and to its end.

use std::sync::Arc;
use std::time::Duration;

use certfleet_data_kit::{await_database, check_authorities, register, store, tell_totals};
use certfleet_domain::ServerId;
use certfleet_service_kit::settings::{Scheduler, SchedulerSettings};
use certfleet_service_kit::{Condition, Context, Health, Importance};
use certfleet_storage::{Process, SCHEDULER, Store};

use crate::condition::condition;
use crate::duties::{self, Duty};
use crate::election::{Elector, Lease};
use crate::metrics::Metrics;
use crate::office::{Leading, SchedulerOffice};

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
    let office = office(
        &store,
        context.server_id,
        duties::all(
            settings,
            &context.settings.siem,
            &context.settings.revocation,
        ),
        metrics.clone(),
    );
    check_leader(&store, &office.leading, &context.health);
    check_duties(&office, &context.health);
    check_authorities(&store, &context.health);
    tell_totals(&store, &context.metrics);
    let process = Process {
        id: context.server_id,
        service: "scheduler",
        version: env!("CARGO_PKG_VERSION"),
        keks: None,
    };
    let registration = register(&store, process).await?;
    let elector = elector(&store, context.server_id, settings, metrics);
    context.health.started();
    elector.run(&office, shutdown).await;
    registration.end().await;
    Ok(())
}

/// What one who stands by may need to see that a lease has ended, and to take it: `scheduler.lease_ttl` is the time after
/// which another leads, so the lease itself is shorter by this.
const TAKEOVER: Duration = Duration::from_millis(500);

/// One who stands for the lead with these settings.
pub fn elector(
    store: &Store,
    me: ServerId,
    settings: &Scheduler,
    metrics: Metrics,
) -> Elector<Lease> {
    let ttl = settings.lease_ttl.saturating_sub(TAKEOVER);
    Elector {
        role: Lease {
            role: store.leadership(SCHEDULER),
            me,
            ttl,
        },
        ttl,
        renew_every: settings.renew_every,
        metrics,
    }
}

/// The office of a leader with these duties.
pub fn office(store: &Store, me: ServerId, duties: Vec<Duty>, metrics: Metrics) -> SchedulerOffice {
    SchedulerOffice {
        timetable: store.timetable(SCHEDULER),
        store: store.clone(),
        duties: Arc::new(duties),
        me,
        leading: Leading::default(),
        metrics,
    }
}

fn check_leader(store: &Store, leading: &Leading, health: &Health) {
    let (role, leading) = (store.leadership(SCHEDULER), leading.clone());
    health.register("leader", Importance::Auxiliary, move || {
        let (role, leading) = (role.clone(), leading.clone());
        async move {
            if let Some(term) = leading.term() {
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

fn check_duties(office: &SchedulerOffice, health: &Health) {
    let (timetable, duties) = (office.timetable.clone(), Arc::clone(&office.duties));
    health.register("duties", Importance::Auxiliary, move || {
        let (timetable, duties) = (timetable.clone(), Arc::clone(&duties));
        async move {
            match timetable.read().await {
                Ok(look) => condition(&duties, look.as_ref()),
                Err(_) => Condition::degraded("not known: the database does not answer"),
            }
        }
    });
}
