//! The start, step by step. What was started is in `cluster` as soon as there is something, so that whoever called
//! stops it, however far the start has come.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use certfleet_data_kit::{KEK_ANSWERS_WITHIN, keyring, listed};
use certfleet_storage::Vault;
use certfleet_supervisor::{Cluster, DataLock, Endpoints, stop_leftovers};

use super::args::UpArgs;
use super::demonstrate::demonstrate;
use super::ports::Ports;
use super::programs::Programs;
use super::progress::Progress;
use super::settings::Shared;
use super::summary::Ready;
use super::{LEFTOVERS_WITHIN, authority, database, fleet, kek, operator, services, token};
use crate::failure::Failure;

/// Starts everything.
pub async fn start(
    args: &UpArgs,
    config: Option<PathBuf>,
    progress: &Progress,
    cluster: &mut Option<Cluster>,
) -> Result<Ready, Failure> {
    let programs = Programs::find()?;
    let kek_file = kek::file_in(&std::path::absolute(&args.data)?);
    let ports = progress.step("data", prepare(args)).await?;
    if let Some(note) = &ports.note {
        progress.note(note);
    }
    let mut shared = Shared::gather(args, config, Some(&kek_file), &ports)?;
    let mongo = progress.step("mongod", database::find(args)).await?;
    let opened = progress.step("replica set", database::open(args, mongo));
    let cluster = cluster.insert(opened.await?);
    let directory = cluster.directory().to_owned();
    let settings = shared.at(cluster.mongo_uri())?;

    let made = async { Ok(((), kek::ensure(&kek_file)?)) };
    progress.step("kek", made).await?;
    let store = progress
        .step("schema", database::prepare(&settings))
        .await?;
    let vault = vault(&store, &settings, &kek_file).await?;
    let name = &settings.acme.default_authority;
    let ensured = authority::ensure(&store, &vault, name, &directory);
    let root = progress.step("authority", ensured).await?;

    let environment = &shared.environment;
    let started = services::start_workers(cluster, args, &programs, environment);
    let started = async { Ok(((), started.await?)) };
    progress.step("workers", started).await?;
    let started = services::start_apis(cluster, args, &programs, environment);
    let started = async { Ok(((), started.await?)) };
    progress.step("api", started).await?;

    let ensured = token::ensure(&store, &directory);
    let token = progress.step("token", ensured).await?;

    let endpoints = Endpoints {
        directory: format!("{}/directory", shared.api_url),
        api: shared.api_url.clone(),
        root,
        database: settings.database.name.clone(),
        kek_file: kek_file.clone(),
        admin_token_file: Some(token),
    };
    let shown = demonstrate(&endpoints.directory, &endpoints.root, &ports.answer);
    let certificate = progress.step("certificate", shown).await?;
    let own = fleet::ensure_own(&store, &endpoints.directory, &endpoints.root);
    progress.step("fleet", own).await?;
    let chain = directory.join("certificate.pem");
    operator::write(&chain, &certificate.chain, 0o644)?;
    let config = operator::write_settings(&directory, &settings, &shared.api_url)?;
    // Last of all: whoever waits for the file finds everything ready, and the ports for challenges free.
    drop(ports.answer);
    let cluster_file = cluster.publish(endpoints.clone())?;
    Ok(Ready {
        endpoints,
        cluster: cluster_file,
        config,
        chain,
        revocation: format!("http://{}", ports.revocation),
        agents: format!("https://localhost:{}", ports.agents.port()),
        fleet: args.fleet,
        http01_port: ports.http01,
        tls_alpn_port: ports.tls_alpn,
        certificate,
    })
}

/// Makes sure that nothing else is in the way: another cluster, remains of an earlier one, someone on our ports.
async fn prepare(args: &UpArgs) -> Result<(Ports, String), Failure> {
    // Given back at once: the cluster takes it for itself.
    let lock = DataLock::take(&args.data)?;
    let stopped = stop_leftovers(lock.directory(), LEFTOVERS_WITHIN).await?;
    let detail = match stopped.len() {
        0 => lock.directory().display().to_string(),
        count => format!(
            "{}; stopped {count} processes of an earlier run",
            lock.directory().display()
        ),
    };
    Ok((Ports::take(args).await?, detail))
}

async fn vault(
    store: &certfleet_storage::Store,
    settings: &certfleet_service_kit::settings::CliSettings,
    kek_file: &Path,
) -> Result<Vault, Failure> {
    let vault = Vault::new(store, Arc::new(keyring(&settings.kek, &settings.pkcs11)?));
    let away = vault.keks_not_at_hand(KEK_ANSWERS_WITHIN).await?;
    if away.is_empty() {
        return Ok(vault);
    }
    Err(Failure::new(format!(
        "the data is sealed under another KEK ({}) than {}: put that one back, or begin anew with another --data",
        listed(&away),
        kek_file.display()
    )))
}
