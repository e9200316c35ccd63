//! The servers that are compared. Each is started by its own module, and from then on they are all alike.

pub(crate) mod caddy;
pub(crate) mod certfleet;
mod managed;
pub(crate) mod pebble;
mod shares;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use rustls::ClientConfig;
use serde::Serialize;

use crate::measure::mongo::Mongo;
use crate::measure::process::Watched;
use managed::Managed;
use shares::Shares;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// certfleet: two of each service over a replica set of three, HTTP-01 validated.
    Certfleet,
    /// The same with one of each service.
    CertfleetSingle,
    /// The same as the first, of another build (`--other`).
    CertfleetOther,
    /// Caddy's `acme_server` (the smallstep library) with its database on disk, HTTP-01 validated.
    Caddy,
    /// Pebble in memory, validation skipped.
    Pebble,
    /// Pebble in memory, HTTP-01 validated.
    PebbleValidating,
}

impl Kind {
    /// Whether it is known to stop answering under load. Pebble 2.4 does: its `FindValidAuthorization` holds the
    /// store's lock and waits for an authorization's, while a challenge being posted holds that and waits for the
    /// store's. The more authorizations there are, the sooner.
    pub(crate) fn may_hang(self) -> bool {
        matches!(self, Self::Pebble | Self::PebbleValidating)
    }

    fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Certfleet | Self::CertfleetSingle | Self::CertfleetOther
        )
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Certfleet => "certfleet",
            Self::CertfleetSingle => "certfleet-single",
            Self::CertfleetOther => "certfleet-other",
            Self::Caddy => "caddy",
            Self::Pebble => "pebble",
            Self::PebbleValidating => "pebble-validating",
        }
    }
}

/// What a server is started with.
pub(crate) struct Ground {
    /// Where it may keep its data.
    pub(crate) directory: PathBuf,
    /// Where names are resolved.
    pub(crate) dns: SocketAddr,
    /// The port HTTP-01 challenges are answered on.
    pub(crate) http01_port: u16,
    /// The operator's command of certfleet, with the services beside it.
    pub(crate) certfleet: PathBuf,
    /// The same of another build.
    pub(crate) other: Option<PathBuf>,
    /// What each replica of certfleet's services has of a core, in percent; none: what it can get.
    pub(crate) share: Option<u32>,
}

/// A running server.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    /// What exactly runs.
    pub(crate) title: String,
    pub(crate) directory: String,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) watched: Vec<Watched>,
    pub(crate) mongo: Option<Mongo>,
    process: Managed,
    /// Removed once the processes have ended, and so after `process`.
    _shares: Option<Shares>,
}

impl Peer {
    pub(crate) async fn start(kind: Kind, ground: &Ground) -> Result<Self> {
        match kind {
            Kind::Certfleet | Kind::CertfleetSingle | Kind::CertfleetOther => {
                certfleet::start(ground, kind).await
            }
            Kind::Caddy => caddy::start(ground).await,
            Kind::Pebble => pebble::start(ground, pebble::Validation::Skipped).await,
            Kind::PebbleValidating => pebble::start(ground, pebble::Validation::Http01).await,
        }
    }

    /// Begins anew, with nothing stored.
    pub(crate) async fn restart(&mut self, ground: &Ground) -> Result<()> {
        self.process.stop().await?;
        *self = Self::start(self.kind, ground).await?;
        Ok(())
    }

    /// Stops its clock while another is measured. certfleet's replica set would take that for a failure, so it
    /// stays running, and what it uses meanwhile is measured instead.
    pub(crate) fn rest(&self) -> Result<()> {
        if self.kind.is_ours() {
            return Ok(());
        }
        self.process.freeze()
    }

    pub(crate) fn wake(&self) -> Result<()> {
        if self.kind.is_ours() {
            return Ok(());
        }
        self.process.thaw()
    }

    /// Ends it, and waits until it has ended.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.process.stop().await
    }
}

/// A port nobody listens on at the moment.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// The directory of one server's data, made.
fn own_directory(ground: &Ground, kind: Kind) -> Result<PathBuf> {
    let directory = ground.directory.join(kind.name());
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// The first word a program prints about its version.
async fn version(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .output()
        .await
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next()?.trim().to_owned())
}
