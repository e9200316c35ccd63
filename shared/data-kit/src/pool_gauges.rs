//! The pool of database connections, among a process's metrics: as it is when somebody scrapes.

use std::sync::Arc;

use certfleet_storage::Pool;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry};

/// How the pool stands.
struct PoolGauges {
    pool: Arc<Pool>,
    size: IntGauge,
    open: IntGauge,
    available: IntGauge,
    waiting: IntGauge,
}

/// Adds the pool to the registry.
///
/// # Errors
/// If gauges of the same names are registered already.
pub fn register_pool(pool: &Arc<Pool>, registry: &Registry) -> Result<(), prometheus::Error> {
    registry.register(Box::new(PoolGauges {
        pool: Arc::clone(pool),
        size: IntGauge::new(
            "certfleet_db_pool_size",
            "The most connections to one member of the replica set",
        )?,
        open: IntGauge::new(
            "certfleet_db_pool_open",
            "Connections that are open, to all members",
        )?,
        available: IntGauge::new(
            "certfleet_db_pool_available",
            "Connections to be had at once, those among them that would have to be opened",
        )?,
        waiting: IntGauge::new(
            "certfleet_db_pool_waiting",
            "Operations that wait for a connection",
        )?,
    }))
}

impl PoolGauges {
    fn all(&self) -> [&IntGauge; 4] {
        [&self.size, &self.open, &self.available, &self.waiting]
    }
}

impl Collector for PoolGauges {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let state = self.pool.state();
        self.size.set(state.size.into());
        self.open.set(state.open.into());
        self.available.set(state.available().into());
        self.waiting.set(state.waiting.into());
        self.all()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}
