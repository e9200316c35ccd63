//! From settings to a working worker, and to its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use certfleet_crash_points::{CrashPoint, reach};
use certfleet_data_kit::{
    Authorities, KEK_ANSWERS_WITHIN, await_database, await_keks, check_authorities, check_crls,
    check_queue, check_switches, keep_local_audit, register, store, tokens, vault, watch_switches,
};
use certfleet_domain::{Clock, SystemClock};
use certfleet_jobs::JobKind;
use certfleet_pki::PkiUrls;
use certfleet_service_kit::Context;
use certfleet_service_kit::settings::{Validation, Worker, WorkerSettings};
use certfleet_storage::jobs::JobFeed;
use certfleet_storage::{Process, Store, Vault};
use certfleet_tls_probe::Prober;
use certfleet_validation::{ValidationSettings, Validator};
use tokio_util::sync::CancellationToken;

use crate::checkpoint_file;
use crate::claim_loop::{ClaimLoop, renew_leases};
use crate::crew::{Crew, Hands};
use crate::handlers::Handlers;
use crate::issuer_keys::IssuerKeys;
use crate::issuing::Issuing;
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::revoking::Revoking;
use crate::teller::Teller;
use crate::upstreams::Upstreams;

/// How long a place may take that is looked at for what it serves.
const PROBED_WITHIN: Duration = Duration::from_secs(5);

/// Works until told to stop; then finishes what is in hand, within the drain timeout, and hands back the rest.
pub async fn work(context: Context<WorkerSettings>) -> anyhow::Result<()> {
    let settings = &context.settings;
    let shutdown = &context.signals.shutdown;
    let kinds = kinds(&settings.worker.kinds)?;
    let store = store(
        &settings.database,
        "certfleet-worker",
        context.metrics.registry(),
    )
    .await?;
    keep_local_audit(&store, &settings.audit, context.server_id)?;
    let vault = vault(&store, &settings.kek, &settings.pkcs11)?;
    if await_database(&store, &context.health, shutdown)
        .await?
        .is_none()
        || await_keks(&vault, &context.health, shutdown)
            .await
            .is_none()
    {
        return Ok(());
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Metrics::register(context.metrics.registry())?;
    let handlers = handlers(&context, &store, &vault, &clock, &metrics)?;
    let crew = Crew::new(Arc::new(handlers), metrics, hands(&settings.worker)?);

    let background = CancellationToken::new();
    let process = Process {
        id: context.server_id,
        service: "worker",
        version: env!("CARGO_PKG_VERSION"),
        keks: Some(vault.keks_at_hand(KEK_ANSWERS_WITHIN).await?),
    };
    let registration = register(&store, process).await?;
    reach(CrashPoint::WorkerRegistered);
    let claimer = || {
        store
            .jobs
            .claimer(context.server_id, kinds.clone(), settings.worker.lease)
    };
    tokio::spawn({
        let renewing = renew_leases(claimer(), crew.clone());
        let background = background.clone();
        async move { background.run_until_cancelled(renewing).await }
    });
    if let Some(file) = settings.audit.checkpoint_file.clone() {
        let keeping = checkpoint_file::keep(store.clone(), file);
        let background = background.clone();
        tokio::spawn(async move { background.run_until_cancelled(keeping).await });
    }
    let switches = watch_switches(&store, background.clone()).await?;
    check_switches(&switches, &context.health);
    let claiming = ClaimLoop {
        claimer: claimer(),
        feed: JobFeed::of_queued(store.database(), background.clone()),
        alive: registration.alive(),
        switches,
        crew: crew.clone(),
        poll_interval: settings.worker.poll_interval,
    };
    check_queue(&store, &context.health);
    check_authorities(&store, &context.health);
    if settings.revocation.url.is_some() {
        check_crls(&store, &context.health);
    }
    context.health.started();
    claiming.run(clock.as_ref(), shutdown.clone()).await;
    registration.end().await;
    crew.drain(settings.worker.drain_timeout).await;
    background.cancel();
    Ok(())
}

/// What does the jobs.
fn handlers(
    context: &Context<WorkerSettings>,
    store: &Store,
    vault: &Vault,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> anyhow::Result<Handlers> {
    let settings = &context.settings;
    let keys = Arc::new(IssuerKeys::new(
        vault.clone(),
        tokens(&settings.pkcs11),
        Arc::clone(clock),
    ));
    let url = settings.revocation.url.as_ref();
    let urls = url.map(|url| PkiUrls::below(url.as_str()));
    // What cannot be used is told now, and not when there is something to tell.
    Teller::new(&settings.notices)?;
    Ok(Handlers {
        issuing: Issuing {
            authorities: Authorities::new(store.authorities.clone()),
            keys: Arc::clone(&keys),
            urls: urls.clone(),
            metrics: metrics.clone(),
        },
        revoking: Revoking {
            store: store.clone(),
            vault: vault.clone(),
            keys,
            urls,
            crl_lifetime: settings.revocation.crl_lifetime.try_into()?,
            ocsp_lifetime: settings.revocation.ocsp_lifetime.try_into()?,
            clock: Arc::clone(clock),
        },
        prober: Prober::new(PROBED_WITHIN).context("drift scans")?,
        notices: context.notices.clone(),
        validator: Validator::new(validation(&settings.validation)).context("validation")?,
        upstreams: Upstreams::new(store.clone(), vault.clone(), Arc::clone(clock)),
        siem: settings.siem.clone(),
        authorization_lifetime: settings.acme.authorization_lifetime,
        metrics: metrics.clone(),
        recorder: Recorder::new(context.server_id, Arc::clone(clock)),
        clock: Arc::clone(clock),
        store: store.clone(),
        vault: vault.clone(),
    })
}

fn hands(settings: &Worker) -> anyhow::Result<Hands> {
    let of_lane = usize::try_from(settings.concurrency)?;
    let per_authority = match settings.per_authority {
        0 => of_lane,
        limit => usize::try_from(limit)?,
    };
    Ok(Hands {
        of_lane,
        per_authority,
    })
}

fn kinds(names: &[String]) -> anyhow::Result<Vec<JobKind>> {
    if names.is_empty() {
        return Ok(JobKind::ALL.to_vec());
    }
    let parse = |name: &String| name.parse().context("worker.kinds");
    names.iter().map(parse).collect()
}

fn validation(settings: &Validation) -> ValidationSettings {
    ValidationSettings {
        allowed_networks: settings.allow_networks.as_slice().to_vec(),
        http_port: settings.http_port,
        tls_alpn_port: settings.tls_alpn_port,
        resolvers: settings
            .resolvers
            .iter()
            .map(|resolver| resolver.0)
            .collect(),
        total_timeout: settings.timeout,
        ..ValidationSettings::default()
    }
}
