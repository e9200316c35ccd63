//! The sections that each service uses.

use super::reader::{Reader, ServiceSettings};
use super::{
    Acme, Adapter, Agents, Audit, Database, Kek, Limits, Log, Management, Notices, Pkcs11, Rest,
    Revocation, Scheduler, Server, Siem, State, Telemetry, Tls, TlsMode, Validation, Worker,
};

/// What every long-running service has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The port for probes and metrics.
    pub management: Management,
    /// What is logged, and for whom.
    pub log: Log,
    /// Where traces go.
    pub telemetry: Telemetry,
    /// What the process keeps on its own disk.
    pub state: State,
}

impl Base {
    fn read(reader: &mut Reader) -> Option<Self> {
        let (management, log) = (reader.section(), reader.section());
        let (telemetry, state) = (reader.section(), reader.section());
        Some(Self {
            management: management?,
            log: log?,
            telemetry: telemetry?,
            state: state?,
        })
    }
}

/// The settings of a service that runs until it is told to stop.
pub trait LongRunning: ServiceSettings + 'static {
    /// What every service has.
    fn base(&self) -> &Base;

    /// Its rate limits; a service that lets nothing in has none.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// By what people are told; a service that tells nobody has none.
    fn notices(&self) -> Notices {
        Notices::default()
    }
}

macro_rules! long_running {
    ($($settings:ident),*) => {$(
        impl LongRunning for $settings {
            fn base(&self) -> &Base {
                &self.base
            }
        }
    )*};
}

long_running!(SchedulerSettings, AdapterSettings);

impl LongRunning for WorkerSettings {
    fn base(&self) -> &Base {
        &self.base
    }

    fn notices(&self) -> Notices {
        self.notices.clone()
    }
}

impl LongRunning for ApiSettings {
    fn base(&self) -> &Base {
        &self.base
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }
}

/// The API's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// What every service has.
    pub base: Base,
    /// Its address and how it serves.
    pub server: Server,
    /// Its certificate.
    pub tls: Tls,
    /// The database.
    pub database: Database,
    /// The keys that secrets are sealed under.
    pub kek: Kek,
    /// How tokens are reached.
    pub pkcs11: Pkcs11,
    /// What it tells ACME clients.
    pub acme: Acme,
    /// How much it lets through.
    pub limits: Limits,
    /// Where relying parties ask about revoked certificates.
    pub revocation: Revocation,
    /// Whether the audit trail's checkpoints are given out.
    pub audit: Audit,
    /// Where hosts' agents are heard.
    pub agents: Agents,
    /// Where the REST API is heard.
    pub rest: Rest,
}

impl ServiceSettings for ApiSettings {
    fn read(reader: &mut Reader) -> Option<Self> {
        let base = Base::read(reader);
        let server = reader.section();
        let tls: Option<Tls> = reader.section();
        let (database, kek, acme) = (reader.section(), reader.kek(), reader.section());
        let pkcs11 = reader.section();
        let (limits, revocation) = (reader.section(), reader.section());
        let audit = reader.section();
        let (agents, rest): (Option<Agents>, _) = (reader.section(), reader.section());
        let hears_agents = agents
            .as_ref()
            .is_some_and(|agents| agents.listen.is_some());
        let is_plain = |tls: &Tls| tls.mode == TlsMode::Off;
        if hears_agents && tls.as_ref().is_some_and(is_plain) {
            reader.complain(
                "agents.listen is given, but tls.mode is off: agents are known by their certificates, so that the API has to speak TLS itself",
            );
        }
        Some(Self {
            base: base?,
            server: server?,
            tls: tls?,
            database: database?,
            kek: kek?,
            pkcs11: pkcs11?,
            acme: acme?,
            limits: limits?,
            revocation: revocation?,
            audit: audit?,
            agents: agents?,
            rest: rest?,
        })
    }
}

/// A worker's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// What every service has.
    pub base: Base,
    /// How it works.
    pub worker: Worker,
    /// How it checks control of names.
    pub validation: Validation,
    /// The database.
    pub database: Database,
    /// The keys that secrets are sealed under.
    pub kek: Kek,
    /// How tokens are reached.
    pub pkcs11: Pkcs11,
    /// How long authorizations last, and the authority's CAA names.
    pub acme: Acme,
    /// Who gets the audit trail.
    pub siem: Siem,
    /// What is signed for relying parties.
    pub revocation: Revocation,
    /// Where the audit trail's checkpoints are kept.
    pub audit: Audit,
    /// By what people are told.
    pub notices: Notices,
}

impl ServiceSettings for WorkerSettings {
    fn read(reader: &mut Reader) -> Option<Self> {
        let base = Base::read(reader);
        let (worker, validation) = (reader.section(), reader.section());
        let (database, kek, acme) = (reader.section(), reader.kek(), reader.section());
        let pkcs11 = reader.section();
        let (siem, revocation) = (reader.section(), reader.section());
        let (audit, notices) = (reader.section(), reader.section());
        Some(Self {
            base: base?,
            worker: worker?,
            validation: validation?,
            database: database?,
            kek: kek?,
            pkcs11: pkcs11?,
            acme: acme?,
            siem: siem?,
            revocation: revocation?,
            audit: audit?,
            notices: notices?,
        })
    }
}

/// A scheduler's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerSettings {
    /// What every service has.
    pub base: Base,
    /// Who leads, and what is kept.
    pub scheduler: Scheduler,
    /// The database.
    pub database: Database,
    /// Whether there is somebody who gets the audit trail.
    pub siem: Siem,
    /// Whether CRLs are signed.
    pub revocation: Revocation,
}

impl ServiceSettings for SchedulerSettings {
    fn read(reader: &mut Reader) -> Option<Self> {
        let base = Base::read(reader);
        let (scheduler, database) = (reader.section(), reader.section());
        let (siem, revocation) = (reader.section(), reader.section());
        Some(Self {
            base: base?,
            scheduler: scheduler?,
            database: database?,
            siem: siem?,
            revocation: revocation?,
        })
    }
}

/// The settings of the metrics adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterSettings {
    /// What every service has.
    pub base: Base,
    /// Whom it answers, and where.
    pub adapter: Adapter,
    /// The database.
    pub database: Database,
}

impl ServiceSettings for AdapterSettings {
    fn read(reader: &mut Reader) -> Option<Self> {
        let base = Base::read(reader);
        let (adapter, database) = (reader.section(), reader.section());
        Some(Self {
            base: base?,
            adapter: adapter?,
            database: database?,
        })
    }
}

/// The settings of the operator's command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliSettings {
    /// What is logged.
    pub log: Log,
    /// What is kept on this disk.
    pub state: State,
    /// The database.
    pub database: Database,
    /// The keys that secrets are sealed under; asked for only by commands that need them.
    pub kek: Kek,
    /// How tokens are reached.
    pub pkcs11: Pkcs11,
    /// The default authority.
    pub acme: Acme,
    /// What invitations of agents say.
    pub agents: Agents,
}

impl ServiceSettings for CliSettings {
    fn read(reader: &mut Reader) -> Option<Self> {
        let (log, state) = (reader.section(), reader.section());
        let (database, kek, acme) = (reader.section(), reader.section(), reader.section());
        let (pkcs11, agents) = (reader.section(), reader.section());
        Some(Self {
            log: log?,
            state: state?,
            database: database?,
            kek: kek?,
            pkcs11: pkcs11?,
            acme: acme?,
            agents: agents?,
        })
    }
}
