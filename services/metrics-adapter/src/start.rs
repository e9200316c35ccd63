//! From settings to a serving adapter, and to its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use certfleet_data_kit::{condition_of_database, store};
use certfleet_service_kit::settings::{AdapterSettings, Networks};
use certfleet_service_kit::tls::{CertificateFiles, CertificateSlot, server_config_asking};
use certfleet_service_kit::{Condition, Context, Edge, Importance, Server, bind};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::client_certificates::ByTrusted;
use crate::front_proxy::Trusted;
use crate::kubernetes::Kubernetes;
use crate::reading::Readings;
use crate::routes::{App, router};

/// How often Kubernetes is asked whom to believe; its front proxy may get another authority.
const LOOK: Duration = Duration::from_secs(60);
/// The same, as long as nobody is known.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// How long answers may go on after SIGTERM. None takes longer than 2 s.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves until told to stop.
pub async fn serve(context: Context<AdapterSettings>) -> anyhow::Result<()> {
    let settings = &context.settings.adapter;
    let signals = &context.signals;
    let store = store(
        &context.settings.database,
        "certfleet-metrics-adapter",
        context.metrics.registry(),
    )
    .await?;
    let listener = bind(settings.listen, false).context("adapter.listen")?;
    let kubernetes = Kubernetes::new(settings)?;
    let slot = CertificateSlot::default();
    let files = CertificateFiles {
        certificate: settings.certificate.clone(),
        key: settings.key.clone(),
    };
    let watch = files
        .load(slot.clone())
        .context("adapter.certificate and adapter.key")?;
    tokio::spawn(watch.run(signals.reload.clone(), signals.shutdown.clone()));

    let (tell, trusted) = watch::channel(None);
    let keep = keep_trusted(kubernetes.clone(), tell, signals.shutdown.clone());
    tokio::spawn(keep);
    let known = trusted.clone();
    context
        .health
        .register("front-proxy", Importance::Critical, move || {
            let known = known.borrow().is_some();
            async move {
                if known {
                    Condition::ok()
                } else {
                    Condition::bad("Kubernetes has not said yet whom to believe")
                }
            }
        });
    // No reason to be taken out of service: an error is the right answer then, and it has to be given.
    let database = store.clone();
    context
        .health
        .register("database", Importance::Auxiliary, move || {
            let database = database.clone();
            async move { condition_of_database(&database).await }
        });

    let app = App {
        access: Arc::new(Access::new(trusted.clone(), kubernetes)),
        readings: Arc::new(Readings::of(store)),
    };
    let edge = Edge::new(Networks::default(), Arc::clone(&context.metrics));
    let server = Server {
        listener,
        router: edge.wrap(router(app)),
        tls: Some(server_config_asking(&slot, ByTrusted(trusted))?),
        drain: DRAIN,
    };
    context.health.started();
    server.run(signals.shutdown.clone()).await;
    Ok(())
}

/// Asks Kubernetes again and again whom to believe. Who was believed last is, while it does not answer.
async fn keep_trusted(
    kubernetes: Kubernetes,
    tell: watch::Sender<Option<Arc<Trusted>>>,
    shutdown: CancellationToken,
) {
    loop {
        let said = kubernetes.authentication().await;
        let read = said
            .map_err(anyhow::Error::from)
            .and_then(|config| Ok(Trusted::read(&config)?));
        match read {
            Ok(trusted) => drop(tell.send_replace(Some(Arc::new(trusted)))),
            Err(error) => tracing::warn!("whom to believe is not known anew: {error:#}"),
        }
        let rest = if tell.borrow().is_some() {
            LOOK
        } else {
            FIRST_LOOK
        };
        if shutdown.run_until_cancelled(sleep(rest)).await.is_none() {
            return;
        }
    }
}
