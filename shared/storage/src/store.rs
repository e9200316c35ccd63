//! The database, with all its repositories.

use std::sync::Arc;

use bson::doc;
use mongodb::Database;

use crate::audit::AuditLog;
use crate::connect::{self, ConnectSettings};
use crate::error::{CommitError, StorageError};
use crate::group::{GroupCommit, Unit, Witness};
use crate::jobs::Jobs;
use crate::leadership::Leadership;
use crate::limits::LimitStates;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::processes::Processes;
use crate::repositories::{
    Access, Accounts, Authorities, Authorizations, Certificates, Crls, Deliveries, Discoveries,
    EabKeys, Fleet, Inventory, Keks, Nonces, Notices, OcspResponses, Orders, SealedSecrets,
    Solvers, Watches,
};
use crate::retention::Retention;
use crate::switches::SwitchBoard;
use crate::timetable::Timetable;
use crate::totals::Totals;

/// The database. Clones share its connections and its group commit.
#[derive(Clone)]
pub struct Store {
    database: Database,
    pool: Arc<Pool>,
    metrics: Metrics,
    group: GroupCommit,
    /// ACME accounts.
    pub accounts: Accounts,
    /// Keys that bind accounts.
    pub eab_keys: EabKeys,
    /// Who may do what over the REST API.
    pub access: Access,
    /// The fleet.
    pub fleet: Fleet,
    /// Its certificates, page by page.
    pub inventory: Inventory,
    /// Where its certificates go.
    pub deliveries: Deliveries,
    /// Who can prove its names by dns-01.
    pub solvers: Solvers,
    /// Where they should be served.
    pub watches: Watches,
    /// Places that are looked at for what they serve.
    pub discoveries: Discoveries,
    /// ACME orders.
    pub orders: Orders,
    /// ACME authorizations.
    pub authorizations: Authorizations,
    /// Certificates.
    pub certificates: Certificates,
    /// CRLs.
    pub crls: Crls,
    /// OCSP answers.
    pub ocsp_responses: OcspResponses,
    /// Authorities.
    pub authorities: Authorities,
    /// Sealed secrets.
    pub secrets: SealedSecrets,
    /// Which KEK seals.
    pub keks: Keks,
    /// Spent nonces.
    pub nonces: Nonces,
    /// What people are told.
    pub notices: Notices,
    /// The queue.
    pub jobs: Jobs,
    /// Who is alive.
    pub processes: Processes,
    /// What is switched for the whole cluster.
    pub switches: SwitchBoard,
    /// What rate limits have let through.
    pub limits: LimitStates,
}

impl Store {
    /// Prepares the connection; the first operation makes it.
    ///
    /// # Errors
    /// If the URI is not one.
    pub async fn connect(
        settings: &ConnectSettings,
        metrics: Metrics,
    ) -> Result<Self, StorageError> {
        let pool = Arc::new(Pool::new(settings.max_pool_size));
        let client = connect::client(settings, &pool).await?;
        let database = client.database(&settings.database);
        Ok(Self::over(database, pool, metrics))
    }

    fn over(database: Database, pool: Arc<Pool>, metrics: Metrics) -> Self {
        let group = GroupCommit::start(database.clone(), metrics.clone());
        Self {
            accounts: Accounts::new(&database),
            eab_keys: EabKeys::new(&database),
            access: Access::new(&database),
            fleet: Fleet::new(&database),
            inventory: Inventory::new(&database),
            deliveries: Deliveries::new(&database),
            solvers: Solvers::new(&database),
            watches: Watches::new(&database),
            discoveries: Discoveries::new(&database),
            orders: Orders::new(&database),
            authorizations: Authorizations::new(&database),
            certificates: Certificates::new(&database),
            crls: Crls::new(&database),
            ocsp_responses: OcspResponses::new(&database),
            authorities: Authorities::new(&database),
            secrets: SealedSecrets::new(&database, metrics.clone()),
            keks: Keks::new(&database),
            nonces: Nonces::new(&database, group.clone()),
            notices: Notices::new(&database),
            jobs: Jobs::new(database.clone(), group.clone(), metrics.clone()),
            processes: Processes::new(&database),
            switches: SwitchBoard::new(&database, metrics.clone()),
            limits: LimitStates::new(&database, metrics.clone()),
            group,
            pool,
            metrics,
            database,
        }
    }

    /// Applies a unit as a whole, in company with those of other callers.
    pub async fn commit(&self, unit: Unit) -> Result<(), CommitError> {
        self.group.commit(unit).await
    }

    /// Has somebody told of every act that this process puts on record from now on.
    pub fn witnessed_by(&self, witness: Arc<dyn Witness>) {
        self.group.witnessed_by(witness);
    }

    /// Asks the primary for a sign of life.
    pub async fn ping(&self) -> Result<(), StorageError> {
        self.database.run_command(doc! { "ping": 1 }).await?;
        Ok(())
    }

    /// The lease on a role that one process at a time may have.
    pub fn leadership(&self, role: &'static str) -> Leadership {
        Leadership::new(&self.database, role)
    }

    /// The timetable of the duties of whoever has the role.
    pub fn timetable(&self, role: &'static str) -> Timetable {
        Timetable::new(&self.database, self.jobs.clone(), role)
    }

    /// What there is in the cluster.
    pub fn totals(&self) -> Totals {
        Totals::new(&self.database, self.jobs.clone())
    }

    /// The audit trail.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(&self.database, self.metrics.clone())
    }

    /// Removal of what has served its time.
    pub fn retention(&self) -> Retention {
        Retention::new(&self.database, self.nonces.clone())
    }

    /// The database itself, for migrations, change feeds and backups.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The connection pool.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
