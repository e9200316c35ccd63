//! Caddy's `acme_server`: the smallstep library, its database (Badger) on disk.
//!
//! It validates HTTP-01 on port 80 and, up to 2.6, resolves names by `/etc/resolv.conf` alone, which knows no
//! ports. So Caddy gets a mount namespace of its own with a `resolv.conf` that leads to our DNS responder on
//! port 53 of a loopback address; nothing of the machine's own configuration is touched. That takes root, as
//! port 80 does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use super::managed::Managed;
use super::{Ground, Kind, Peer, free_port, own_directory, version};
use crate::client::http::tls;
use crate::measure::process::Watched;

/// Where Caddy looks for challenges, and cannot be told otherwise.
pub(crate) const HTTP01_PORT: u16 = 80;
/// Where Caddy resolves names; on an address that a resolver of the machine hardly has.
pub(crate) const DNS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 53, 53)), 53);

const START_TIME: Duration = Duration::from_secs(30);

/// Starts Caddy with an empty data directory.
pub(crate) async fn start(ground: &Ground) -> Result<Peer> {
    let home = own_directory(ground, Kind::Caddy)?;
    let port = free_port()?;
    let caddyfile = home.join("Caddyfile");
    std::fs::write(&caddyfile, configuration(port))?;
    std::fs::write(
        home.join("resolv.conf"),
        format!("nameserver {}\n", DNS.ip()),
    )?;
    let log = home.join("log");
    let mut process = Managed::spawn("caddy", command(&home, &caddyfile), log, false)?;
    let root = home.join("caddy/pki/authorities/local/root.crt");
    process.wait_for_file(&root, START_TIME).await?;
    let pem = std::fs::read(&root).context("Caddy's root certificate")?;
    let tls = tls(Some(&pem))?;
    let directory = format!("https://127.0.0.1:{port}/acme/local/directory");
    process
        .wait_for_directory(&directory, &tls, START_TIME)
        .await?;
    let version = version(Path::new("caddy"), &["version"]).await;
    Ok(Peer {
        kind: Kind::Caddy,
        title: format!(
            "Caddy {} acme_server, Badger on disk, HTTP-01 validated",
            version.unwrap_or_default()
        ),
        directory,
        tls,
        watched: vec![Watched {
            service: "caddy".to_owned(),
            pid: process.pid()?,
        }],
        mongo: None,
        process,
        _shares: None,
    })
}

fn configuration(port: u16) -> String {
    format!(
        "{{\n\
         \tadmin off\n\
         \tauto_https disable_redirects\n\
         \tskip_install_trust\n\
         \tlog {{\n\t\tlevel ERROR\n\t}}\n\
         }}\n\
         https://127.0.0.1:{port} {{\n\
         \tbind 127.0.0.1\n\
         \ttls internal\n\
         \tacme_server\n\
         }}\n"
    )
}

/// `exec` throughout, so that the process started is in the end Caddy itself.
fn command(home: &Path, caddyfile: &Path) -> Command {
    let script =
        r#"mount --bind "$1" /etc/resolv.conf && exec caddy run --adapter caddyfile --config "$2""#;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--", "sh", "-c", script, "caddy"])
        .arg(home.join("resolv.conf"))
        .arg(caddyfile)
        .env("HOME", home)
        .env("XDG_DATA_HOME", home)
        .env("XDG_CONFIG_HOME", home);
    command
}
