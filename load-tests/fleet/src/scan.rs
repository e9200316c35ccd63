//! Many endpoints, a tenth of them dead: how many are looked at a minute.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bson::doc;
use certfleet_domain::{SystemClock, SystemRng, Watch, WatchId, WatchPolicy};
use certfleet_storage::Unit;
use comfy_table::Table;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::ground::Ground;

/// Nobody listens there.
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 99, 0, 11);
/// So many watches are added together.
const TOGETHER: usize = 200;

/// Measures it.
pub async fn measure(ground: &Ground, endpoints: u32, table: &mut Table) -> Result<()> {
    table.set_header(["what", "figure"]);
    let names = vec!["watched.fleet.test".to_owned()];
    let id = ground.add(&names, |_, _| Ok(Unit::default())).await?;
    let id = *id.first().context("an id")?;
    ground.until("managed_versions", doc! {}, 1).await?;
    let port = serve(&names).await?;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let silent_port = silent.local_addr()?.port();
    // Watches of one certificate at one place are one: each has a loopback address of its own.
    let numbers: Vec<u32> = (0..endpoints).collect();
    let began = Instant::now();
    for some in numbers.chunks(TOGETHER) {
        let mut unit = Unit::default();
        for number in some {
            let own = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 100, 0, 0)) + number);
            let endpoint = match number % 20 {
                0 => format!("{NOBODY}:{}", 1 + number % 60_000),
                1 => format!("127.0.0.1:{silent_port}"),
                _ => format!("{own}:{port}"),
            };
            // The silent one is one place under many names.
            let name = if number % 20 == 1 {
                format!("n{number}.fleet.test")
            } else {
                names.concat()
            };
            let watch = Watch::new(
                WatchId::generate(&SystemClock, &mut SystemRng),
                id,
                (endpoint.parse()?, name.parse()?),
                WatchPolicy::Alert,
                certfleet_domain::Clock::now(&SystemClock),
            );
            unit = unit.and(ground.store.watches.insert(&watch)?);
        }
        ground.store.commit(unit).await?;
    }
    let looked = doc! { "looked_at": { "$exists": true } };
    ground.until("watches", looked, endpoints.into()).await?;
    let seconds = began.elapsed().as_secs_f64();
    table.add_row([
        "endpoints, a tenth of them dead or hanging",
        &endpoints.to_string(),
    ]);
    table.add_row([
        "looked at, from the first that was added, after",
        &format!("{seconds:.0} s"),
    ]);
    table.add_row([
        "a minute",
        &format!("{:.0}", f64::from(endpoints) / seconds * 60.0),
    ]);
    let unreachable = doc! { "finding.drift": "unreachable" };
    let found = ground
        .collection("watches")
        .count_documents(unreachable)
        .await?;
    table.add_row(["found unreachable", &found.to_string()]);
    table.add_row([
        "memory of a worker, the most",
        &format!("{} MiB", ground.most_memory("worker")?),
    ]);
    drop(silent);
    Ok(())
}

/// A server on every loopback address, with a certificate of its own making.
async fn serve(names: &[String]) -> Result<u16> {
    let made = rcgen::generate_simple_self_signed(names.to_vec())?;
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let _ = acceptor.accept(stream).await;
            });
        }
    });
    Ok(port)
}
