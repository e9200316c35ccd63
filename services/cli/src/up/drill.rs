//! `certfleet dr drill`: the day on which nothing is left but a backup and the KEK, rehearsed (DR-2).
//!
//! A replica set of its own, on loopback; the backup restored into it; its KEK, its audit trail; then a worker and an API
//! process over it, and one certificate issued through them as any client gets one; if it is asked for, one of another
//! authority as well. All of it is thrown away in the end, but
//! for the report. Nothing outside is touched: the services do only what issuing takes, and jobs that waited when the backup
//! was made are not done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bson::{Document, doc};
use certfleet_audit::{Act, CheckpointSigner};
use certfleet_backup::{Manifest, Onto, restore};
use certfleet_domain::{Clock as _, SystemClock, Timestamp};
use certfleet_pki::certificate_pem;
use certfleet_secrets::Purpose;
use certfleet_service_kit::settings::CliSettings;
use certfleet_service_kit::{Condition, Signals, Status};
use certfleet_storage::collections::JOBS;
use certfleet_storage::{SecretName, Store, Vault};
use certfleet_supervisor::Cluster;
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::args::UpArgs;
use super::demonstrate::{Issued, demonstrate};
use super::ports::{Ports, free_port};
use super::programs::Programs;
use super::progress::Progress;
use super::settings::Shared;
use super::upstream::UpstreamArgs;
use super::{database, operator, services};
use crate::commands::audit::{Verified, VerifyArgs, verify};
use crate::commands::backup::whole;
use crate::commands::health;
use crate::connection;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment};

/// What the worker does: what one certificate takes.
const KINDS: &str = "issueServerCertificate,validateChallenge,signCertificate";

/// Which backup.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// The backup.
    file: PathBuf,
    /// Write the report, signed, into this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The mongod program; without it, `CERTFLEET_MONGOD`, `PATH` and .certfleet/tools are looked at.
    #[arg(long, value_name = "PATH")]
    mongod: Option<PathBuf>,
    #[command(flatten)]
    upstream: UpstreamArgs,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    backup: PathBuf,
    #[serde(with = "time::serde::rfc3339")]
    backup_begun: Timestamp,
    #[serde(with = "time::serde::rfc3339")]
    drilled_at: Timestamp,
    database: String,
    documents: u64,
    keks: Vec<String>,
    audit: Verified,
    health: BTreeMap<String, Condition>,
    /// From the authority that came back; none if there was none, and another was asked.
    certificate: Option<Issued>,
    /// From another authority, if one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<Issued>,
    steps: Vec<Step>,
    /// From the first step to the certificate.
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    seconds: f64,
}

/// Rehearses it. Fails with the first step that does.
pub async fn run(args: &DrillArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let signals = Signals::listen()?;
    let scratch = tempfile::Builder::new()
        .prefix("certfleet-drill-")
        .tempdir()?;
    let mut cluster = None;
    let drill = Drill {
        args,
        config,
        scratch: scratch.path(),
        progress: Progress::new(out.is_json()),
    };
    let rehearsal = Box::pin(drill.rehearse(&mut cluster));
    let rehearsed = signals.shutdown.run_until_cancelled(rehearsal).await;
    let stopped = match cluster {
        Some(cluster) => cluster.stop().await.map(drop),
        None => Ok(()),
    };
    let (report, note) = rehearsed.ok_or(Failure::Interrupted)??;
    stopped?;
    if let Some(file) = &args.report {
        std::fs::write(file, &note).with_context(|| file.display().to_string())?;
    }
    out.show(&report, |sheet| {
        sheet.title("The drill passed");
        sheet.pairs([
            ("backup", report.backup.display().to_string()),
            ("begun", moment(report.backup_begun)),
            ("documents", report.documents.to_string()),
            (
                "audit trail",
                format!("whole, {} entries", report.audit.entries),
            ),
            ("certificate", of_whom(report.certificate.as_ref())),
            ("upstream", of_whom(report.upstream.as_ref())),
            ("took", format!("{:.1} s", report.seconds)),
        ]);
        let rows = report
            .steps
            .iter()
            .map(|step| [step.step.to_owned(), format!("{:.1}", step.seconds)]);
        sheet.table(["step", "s"], rows);
    })
}

fn of_whom(issued: Option<&Issued>) -> String {
    issued.map_or_else(
        || "none was asked for".to_owned(),
        |issued| format!("{} by {}", issued.serial, issued.issuer),
    )
}

struct Drill<'d> {
    args: &'d DrillArgs,
    config: Option<PathBuf>,
    scratch: &'d Path,
    progress: Progress,
}

impl Drill<'_> {
    async fn rehearse(self, cluster: &mut Option<Cluster>) -> Result<(Report, String), Failure> {
        let began = Instant::now();
        let mut steps = Vec::new();
        let programs = Programs::find()?;
        let upstream = self.args.upstream.prepare().await?;
        let manifest = self.step(&mut steps, "backup", self.check()).await?;
        let up = self.as_up()?;
        let ports = Ports::take(&up).await?;
        let mut shared = Shared::gather(&up, self.config.clone(), None, &ports)?;
        shared.tell("CERTFLEET_WORKER_KINDS", KINDS);
        let mongo = self.step(&mut steps, "mongod", database::find(&up)).await?;
        let opened = self.step(&mut steps, "replica set", database::open(&up, mongo));
        let cluster = cluster.insert(opened.await?);
        let settings = shared.at(cluster.mongo_uri())?;

        let restored = self.restore(&settings, &manifest);
        let store = self.step(&mut steps, "restore", restored).await?;
        let vault = self
            .step(&mut steps, "kek", opens(&store, &settings))
            .await?;
        let audit = self
            .step(&mut steps, "audit trail", is_whole(&store))
            .await?;
        let root = self.scratch.join("root.pem");
        let has_authority = find_root(&store, &settings, &root).await?;
        if !has_authority && upstream.is_none() {
            let name = &settings.acme.default_authority;
            return Err(Failure::not_found("authority", name));
        }
        let environment = &shared.environment;
        let started = async {
            services::start_workers(cluster, &up, &programs, environment).await?;
            let said = services::start_apis(cluster, &up, &programs, environment).await?;
            Ok(((), said))
        };
        self.step(&mut steps, "services", started).await?;
        let health = self.step(&mut steps, "health", is_well(&store)).await?;
        let directory = format!("{}/directory", shared.api_url);
        let mut certificate = None;
        if has_authority {
            let issued = demonstrate(&directory, &root, &ports.answer);
            certificate = Some(self.step(&mut steps, "certificate", issued).await?);
        }
        let mut other = None;
        if let Some(upstream) = &upstream {
            let issued = upstream.issue();
            other = Some(self.step(&mut steps, "upstream", issued).await?);
        }
        let report = Report {
            backup: self.args.file.clone(),
            backup_begun: manifest.created_at,
            drilled_at: SystemClock.now(),
            database: manifest.database.clone(),
            documents: manifest.documents(),
            keks: manifest.keks.clone(),
            audit,
            health,
            certificate,
            upstream: other,
            steps,
            seconds: began.elapsed().as_secs_f64(),
        };
        let note = signed(&store, &vault, &report).await?;
        Ok((report, note))
    }

    async fn step<T>(
        &self,
        steps: &mut Vec<Step>,
        step: &'static str,
        work: impl Future<Output = Result<(T, String), Failure>>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let done = self.progress.step(step, work).await?;
        let seconds = began.elapsed().as_secs_f64();
        steps.push(Step { step, seconds });
        Ok(done)
    }

    async fn check(&self) -> Result<(Manifest, String), Failure> {
        let manifest = whole(&self.args.file).await?;
        let said = format!("whole, {} documents", manifest.documents());
        Ok((manifest, said))
    }

    /// A small cluster, where nobody else's is.
    fn as_up(&self) -> Result<UpArgs, Failure> {
        Ok(UpArgs {
            api: 1,
            worker: 1,
            scheduler: 0,
            port: free_port()?,
            mongod: self.args.mongod.clone(),
            mongo_uri: None,
            http01_port: Some(free_port()?),
            tls_alpn_port: Some(free_port()?),
            revocation_port: Some(free_port()?),
            agents_port: Some(free_port()?),
            fleet: false,
            resolver: Vec::new(),
            data: self.scratch.to_owned(),
        })
    }

    async fn restore(
        &self,
        settings: &CliSettings,
        manifest: &Manifest,
    ) -> Result<(Store, String), Failure> {
        let store = connection::any_store(settings).await?;
        let target = format_args!("database/{}", manifest.database);
        let act = Operator::here().event(Act::RestoreBackup, target);
        restore(&store, &self.args.file, manifest, Onto::Empty, &act, |_| {}).await?;
        // They would ask strangers, who know nothing of a drill.
        let jobs = store.database().collection::<Document>(JOBS);
        let waiting = doc! { "state": { "$in": ["queued", "leased"] } };
        let waited = jobs.delete_many(waiting).await?.deleted_count;
        let said = format!(
            "{} documents; {waited} jobs that waited are left out",
            manifest.documents()
        );
        Ok((store, said))
    }
}

/// Without the KEK it ends here: nothing of what follows would mean anything.
async fn opens(store: &Store, settings: &CliSettings) -> Result<(Vault, String), Failure> {
    let vault = connection::vault(store, settings).await?;
    let mut opened = 0;
    for authority in store.authorities.all().await? {
        for issuer in authority.issuers() {
            let name = SecretName::IssuerKey(issuer.id);
            vault.require(&name, Purpose::ProveKek).await?;
            opened += 1;
        }
    }
    Ok((
        vault,
        format!("it opens; so do the keys of {opened} issuers"),
    ))
}

async fn is_whole(store: &Store) -> Result<(Verified, String), Failure> {
    let verified = verify(store, &VerifyArgs::default()).await?;
    let said = format!("whole: {} entries", verified.entries);
    Ok((verified, said))
}

/// Of the services only those that issue were started, and none that leads.
async fn is_well(store: &Store) -> Result<(BTreeMap<String, Condition>, String), Failure> {
    let mut parts = health::parts(store, &["api", "worker"]).await?;
    parts.remove("leader");
    let of = |status| parts.values().filter(move |part| part.status == status);
    if let Some((name, bad)) = parts.iter().find(|(_, part)| part.status == Status::Bad) {
        let why = bad.detail.as_deref().unwrap_or("bad");
        return Err(Failure::new(format!("{name}: {why}")));
    }
    let said = format!(
        "{} parts are well, {} not quite",
        of(Status::Ok).count(),
        of(Status::Degraded).count()
    );
    Ok((parts, said))
}

/// What the certificate is to lead to: an authority of the backup's, and no new one. Says whether there is one.
async fn find_root(store: &Store, settings: &CliSettings, file: &Path) -> Result<bool, Failure> {
    let name = &settings.acme.default_authority;
    let Some(authority) = store.authorities.find(name).await? else {
        return Ok(false);
    };
    operator::write(file, &certificate_pem(&authority.issuer.root), 0o644)?;
    Ok(true)
}

/// The report, signed with the key of the audit trail that came back.
async fn signed(store: &Store, vault: &Vault, report: &Report) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(report)?;
    let missing = || Failure::not_found("key of the audit trail in", "the backup");
    let key = store.audit().key().await?.ok_or_else(missing)?;
    let secret = vault
        .require(&SecretName::CheckpointKey, Purpose::SignReport)
        .await?;
    let signer = CheckpointSigner::new(key.origin(), secret.expose())
        .map_err(|error| Failure::new(format!("the key of the audit trail: {error}")))?;
    Ok(signer.sign_report(&text))
}
