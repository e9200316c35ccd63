//! certfleet as an operator starts it: `certfleet up`, two of each service, or one, over a replica set of three.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tokio::process::Command;

use super::managed::Managed;
use super::shares::Shares;
use super::{Ground, Kind, Peer, free_port, own_directory, version};
use crate::client::http::tls;
use crate::measure::mongo::Mongo;
use crate::measure::process::Watched;

/// Those that there are one or two of.
const SERVICES: [&str; 3] = ["api", "worker", "scheduler"];
const START_TIME: Duration = Duration::from_secs(180);

/// What `certfleet up` writes about itself, as far as it is read here.
#[derive(Debug, Deserialize)]
struct Cluster {
    directory: String,
    /// The file of the root that the API's own TLS certificate chains to.
    root: String,
    mongo_uri: String,
    processes: Vec<Process>,
}

#[derive(Debug, Deserialize)]
struct Process {
    service: String,
    pid: u32,
}

/// How many of each service.
fn replicas(kind: Kind) -> &'static str {
    if kind == Kind::CertfleetSingle {
        "1"
    } else {
        "2"
    }
}

/// The build that is to run.
fn program(ground: &Ground, kind: Kind) -> Result<&Path> {
    if kind != Kind::CertfleetOther {
        return Ok(&ground.certfleet);
    }
    let other = ground.other.as_deref();
    other.context("--other is missing: the `certfleet` command of the other build")
}

/// Starts a cluster with an empty database and waits until it serves.
pub(crate) async fn start(ground: &Ground, kind: Kind) -> Result<Peer> {
    let program = program(ground, kind)?;
    let home = own_directory(ground, kind)?;
    let data = home.join("data");
    let command = command(ground, program, &data, kind)?;
    let mut process = Managed::spawn("certfleet", command, home.join("log"), false)?;
    match connect(&mut process, &data).await {
        Ok((cluster, tls, mongo)) => {
            let version = version(program, &["--version"]).await;
            let watched = watched(&cluster, &mongo, process.pid()?).await?;
            let replicas_of_services = watched
                .iter()
                .filter(|process| SERVICES.contains(&process.service.as_str()));
            let shares = ground
                .share
                .map(|percent| Shares::give(replicas_of_services, percent))
                .transpose();
            Ok(Peer {
                kind,
                title: format!(
                    "{}, {} of API, worker and scheduler, 3 mongods, HTTP-01 validated",
                    version.unwrap_or_else(|| "certfleet".to_owned()),
                    replicas(kind)
                ),
                directory: cluster.directory,
                tls,
                watched,
                mongo: Some(mongo),
                process,
                _shares: shares?,
            })
        }
        Err(error) => {
            process.stop().await?;
            Err(error)
        }
    }
}

fn command(ground: &Ground, program: &Path, data: &Path, kind: Kind) -> Result<Command> {
    let (port, replicas) = (free_port()?, replicas(kind));
    let mut command = Command::new(program);
    command
        .args(["up", "--json"])
        .args(["--api", replicas])
        .args(["--worker", replicas])
        .args(["--scheduler", replicas])
        .arg("--data")
        .arg(data)
        .args(["--port", &port.to_string()])
        .args(["--http01-port", &ground.http01_port.to_string()])
        .args(["--resolver", &ground.dns.to_string()]);
    Ok(command)
}

type Connected = (Cluster, std::sync::Arc<rustls::ClientConfig>, Mongo);

async fn connect(process: &mut Managed, data: &Path) -> Result<Connected> {
    let file = data.join("cluster.json");
    process.wait_for_file(&file, START_TIME).await?;
    let text = std::fs::read(&file)?;
    let cluster: Cluster = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not as expected", file.display()))?;
    let pem = std::fs::read(&cluster.root)
        .with_context(|| format!("the root certificate, {}", cluster.root))?;
    let tls = tls(Some(&pem))?;
    process
        .wait_for_directory(&cluster.directory, &tls, START_TIME)
        .await?;
    let mongo = Mongo::connect(&cluster.mongo_uri).await?;
    Ok((cluster, tls, mongo))
}

/// Every process of the cluster once: its services, the database's members, and `certfleet up` itself.
async fn watched(cluster: &Cluster, mongo: &Mongo, up: u32) -> Result<Vec<Watched>> {
    let mut watched: Vec<Watched> = cluster
        .processes
        .iter()
        .map(|process| Watched {
            service: process.service.clone(),
            pid: process.pid,
        })
        .collect();
    let members = mongo.processes().await?;
    let supervisor = Watched {
        service: "up".to_owned(),
        pid: up,
    };
    for process in members.into_iter().chain([supervisor]) {
        if watched.iter().all(|known| known.pid != process.pid) {
            watched.push(process);
        }
    }
    Ok(watched)
}
