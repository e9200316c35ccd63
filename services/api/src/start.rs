//! From settings to a serving API, and to its end.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use certfleet_data_kit::{
    Authorities, KEK_ANSWERS_WITHIN, PressureGuard, await_database, await_keks, check_authorities,
    check_crls, check_switches, keep_local_audit, register, store, tell_totals, vault,
    watch_switches,
};
use certfleet_domain::{Clock, Identifier, SystemClock};
use certfleet_service_kit::settings::{Acme, ApiSettings, ListenAddress, TlsMode};
use certfleet_service_kit::tls::{
    CertificateFiles, CertificateSlot, server_config, server_config_asking,
};
use certfleet_service_kit::{Anybody, Condition, Context, Edge, Importance, Server, bind, probes};
use certfleet_storage::jobs::JobFeed;
use certfleet_storage::{Process, Store, Vault};
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Parts, Policy};
use crate::limits::RateLimits;
use crate::metrics::Metrics;
use crate::routes::rest::TokenUses;
use crate::server_certificate::ServerCertificate;
use crate::urls::ExternalUrl;
use crate::{nonce_key, routes};

/// Serves until told to stop.
pub async fn serve(context: Context<ApiSettings>) -> anyhow::Result<()> {
    let settings = &context.settings;
    let shutdown = &context.signals.shutdown;
    let store = store(
        &settings.database,
        "certfleet-api",
        context.metrics.registry(),
    )
    .await?;
    keep_local_audit(&store, &settings.audit, context.server_id)?;
    let vault = vault(&store, &settings.kek, &settings.pkcs11)?;
    // Bound before anything is waited for: a busy port is told at once.
    let listeners = Listeners::bind(settings)?;
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
    let Some(certificate) = certificate(&context, &store, &vault, &clock).await? else {
        return Ok(());
    };

    let background = CancellationToken::new();
    let app = App::new(Parts {
        feed: JobFeed::of_finished(store.database(), background.clone()),
        authorities: Authorities::new(store.authorities.clone()),
        nonce_keys: nonce_key::load(&vault, clock.as_ref(), context.server_id).await?,
        guard: PressureGuard::new(Arc::clone(store.pool())),
        limits: RateLimits::new(
            context.limits.clone(),
            store.limits.clone(),
            context.metrics.registry(),
        )?,
        metrics: Metrics::register(context.metrics.registry())?,
        stopping: shutdown.clone(),
        switches: watch_switches(&store, background.clone()).await?,
        url: ExternalUrl::new(settings.server.external_url.as_str()),
        server: context.server_id,
        token_uses: TokenUses::default(),
        policy: policy(&settings.acme)?,
        clock,
        vault: vault.clone(),
        store: store.clone(),
    });
    let process = Process {
        id: context.server_id,
        service: "api",
        version: env!("CARGO_PKG_VERSION"),
        keks: Some(vault.keks_at_hand(KEK_ANSWERS_WITHIN).await?),
    };
    let registration = register(&store, process).await?;
    let servers = servers(listeners, &app, &context, certificate.as_ref())?;
    check_authority(&app, &context);
    check_authorities(&app.store, &context.health);
    if settings.revocation.url.is_some() {
        check_crls(&app.store, &context.health);
    }
    tell_totals(&store, &context.metrics);
    check_switches(&app.switches, &context.health);
    context.health.started();
    join_all(
        servers
            .into_iter()
            .map(|server| server.run(shutdown.clone())),
    )
    .await;
    registration.end().await;
    background.cancel();
    Ok(())
}

/// Where the API is asked, bound.
struct Listeners {
    clients: TcpListener,
    relying_parties: Option<TcpListener>,
    agents: Option<TcpListener>,
    rest: Option<TcpListener>,
}

impl Listeners {
    fn bind(settings: &ApiSettings) -> anyhow::Result<Self> {
        let shared = settings.server.reuse_port;
        let beside = |address: Option<ListenAddress>, name| {
            let bound = address.map(|ListenAddress(address)| bind(address, shared));
            bound.transpose().context(name)
        };
        Ok(Self {
            clients: bind(settings.server.listen, shared).context("server.listen")?,
            relying_parties: beside(settings.revocation.listen, "revocation.listen")?,
            agents: beside(settings.agents.listen, "agents.listen")?,
            rest: beside(settings.rest.listen, "rest.listen")?,
        })
    }
}

/// What serves at each of them.
fn servers(
    listeners: Listeners,
    app: &App,
    context: &Context<ApiSettings>,
    certificate: Option<&CertificateSlot>,
) -> anyhow::Result<Vec<Server>> {
    let settings = &context.settings.server;
    let edge = Edge::new(
        settings.trusted_proxies.clone(),
        Arc::clone(&context.metrics),
    );
    let server = |listener, router: Router, tls| Server {
        listener,
        router: edge.clone().wrap(router),
        tls,
        drain: settings.shutdown_timeout,
    };
    let tls = certificate.map(server_config).transpose()?;
    let mut servers = vec![server(listeners.clients, router(app.clone(), context), tls)];
    if let Some(listener) = listeners.relying_parties {
        servers.push(server(
            listener,
            for_strangers().with_state(app.clone()),
            None,
        ));
    }
    if let Some(listener) = listeners.rest {
        let router = routes::rest::router(app, settings.write_timeout).with_state(app.clone());
        servers.push(server(
            listener,
            router,
            certificate.map(server_config).transpose()?,
        ));
    }
    if let (Some(listener), Some(slot)) = (listeners.agents, certificate) {
        let router = routes::agent::router(app).with_state(app.clone());
        let tls = server_config_asking(slot, Anybody)?;
        servers.push(server(listener, router, Some(tls)));
    }
    Ok(servers)
}

/// The default authority, as an auxiliary part: others are served without it.
fn check_authority(app: &App, context: &Context<ApiSettings>) {
    let app = app.clone();
    context
        .health
        .register("authority", Importance::Auxiliary, move || {
            let app = app.clone();
            async move {
                let name = &app.policy.default_authority;
                match app.authorities.find(name).await {
                    Ok(Some(_)) => Condition::ok(),
                    Ok(None) => Condition::bad(format!(
                        "there is no authority {name}: certfleet ca create {name}"
                    )),
                    Err(error) => {
                        Condition::bad(format!("authority {name} is not reached: {error}"))
                    }
                }
            }
        });
}

/// What is asked for in plain HTTP: by relying parties, and by authorities that validate names of the fleet.
fn for_strangers() -> Router<App> {
    routes::pki::router().merge(routes::challenge_answer::router())
}

fn router(app: App, context: &Context<ApiSettings>) -> Router {
    let settings = &context.settings;
    let acme = routes::acme::router(&app, settings.server.write_timeout).with_state(app.clone());
    let mut router = probes(Arc::clone(&context.health))
        .merge(acme)
        .merge(routes::challenge_answer::router().with_state(app.clone()));
    if settings.revocation.url.is_some() {
        router = router.merge(routes::pki::router().with_state(app.clone()));
    }
    if settings.audit.publish {
        router = router.merge(routes::audit::router().with_state(app.clone()));
    }
    if settings.rest.enabled && settings.rest.listen.is_none() {
        let rest = routes::rest::router(&app, settings.server.write_timeout);
        router = router.merge(rest.with_state(app));
    }
    router
}

fn policy(acme: &Acme) -> anyhow::Result<Policy> {
    Ok(Policy {
        default_authority: acme.default_authority.clone(),
        terms_of_service: acme
            .terms_of_service
            .as_ref()
            .map(|url| url.as_str().to_owned()),
        website: acme.website.as_ref().map(|url| url.as_str().to_owned()),
        caa_identities: acme
            .caa_identities
            .iter()
            .map(ToString::to_string)
            .collect(),
        nonce_lifetime: acme.nonce_lifetime.try_into()?,
        order_lifetime: acme.order_lifetime.try_into()?,
        pending_authorization_lifetime: acme.pending_authorization_lifetime.try_into()?,
        answer_wait: acme.answer_wait,
        retry_after: u32::try_from(acme.retry_after.as_secs())?,
        renewal_info_retry_after: u32::try_from(acme.renewal_info_retry_after.as_secs())?,
    })
}

/// What to speak TLS with, if at all. `None` if told to stop before there was a certificate.
async fn certificate(
    context: &Context<ApiSettings>,
    store: &Store,
    vault: &Vault,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<Option<CertificateSlot>>> {
    let settings = &context.settings;
    let signals = &context.signals;
    let slot = CertificateSlot::default();
    match settings.tls.mode {
        TlsMode::Off => return Ok(Some(None)),
        TlsMode::Files => {
            let files = CertificateFiles {
                certificate: settings
                    .tls
                    .certificate
                    .clone()
                    .context("tls.certificate")?,
                key: settings.tls.key.clone().context("tls.key")?,
            };
            let watch = files.load(slot.clone())?;
            tokio::spawn(watch.run(signals.reload.clone(), signals.shutdown.clone()));
        }
        TlsMode::Managed => {
            let managed = ServerCertificate {
                store: store.clone(),
                vault: vault.clone(),
                authority: settings.acme.default_authority.clone(),
                names: own_names(settings)?,
                slot: slot.clone(),
            };
            if managed
                .await_first(clock.as_ref(), &signals.shutdown)
                .await?
                .is_none()
            {
                return Ok(None);
            }
            tokio::spawn(managed.keep(Arc::clone(clock)));
        }
    }
    Ok(Some(Some(slot)))
}

/// The names under which clients reach the API.
fn own_names(settings: &ApiSettings) -> anyhow::Result<Vec<Identifier>> {
    let host = settings.server.external_url.host();
    let name = host
        .parse()
        .with_context(|| format!("server.external_url: {host}"))?;
    let mut names: Vec<Identifier> = vec![name];
    names.extend(settings.tls.names.iter().cloned());
    names.sort();
    names.dedup();
    Ok(names)
}
