//! Pebble, Let's Encrypt's test server: everything in memory, nothing kept.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tokio::process::Command;

use super::managed::Managed;
use super::{Ground, Kind, Peer, free_port, own_directory};
use crate::client::http::tls;
use crate::measure::process::Watched;

const START_TIME: Duration = Duration::from_secs(30);

/// Whether names are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validation {
    Skipped,
    Http01,
}

/// Starts Pebble with the sleeps and the refusals that it has for testing clients turned off.
pub(crate) async fn start(ground: &Ground, validation: Validation) -> Result<Peer> {
    let (kind, word) = match validation {
        Validation::Skipped => (Kind::Pebble, "validation skipped"),
        Validation::Http01 => (Kind::PebbleValidating, "HTTP-01 validated"),
    };
    let home = own_directory(ground, kind)?;
    let (port, management) = (free_port()?, free_port()?);
    let root = write_configuration(&home, ground, port, management)?;
    let mut command = Command::new("pebble");
    command
        .arg("-config")
        .arg(home.join("config.json"))
        .arg("-dnsserver")
        .arg(ground.dns.to_string())
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_WFE_NONCEREJECT", "0")
        .env("PEBBLE_AUTHZREUSE", "0");
    if validation == Validation::Skipped {
        command.env("PEBBLE_VA_ALWAYS_VALID", "1");
    }
    // Its log tells every request on standard output; a file of it would be held against its speed.
    let mut process = Managed::spawn("pebble", command, home.join("log"), true)?;
    let tls = tls(Some(root.as_bytes()))?;
    let directory = format!("https://127.0.0.1:{port}/dir");
    process
        .wait_for_directory(&directory, &tls, START_TIME)
        .await?;
    Ok(Peer {
        kind,
        title: format!("Pebble, in memory, {word}"),
        directory,
        tls,
        watched: vec![Watched {
            service: "pebble".to_owned(),
            pid: process.pid()?,
        }],
        mongo: None,
        process,
        _shares: None,
    })
}

/// Writes the configuration and the server's own certificate, which is given back as the root to trust.
fn write_configuration(home: &Path, ground: &Ground, port: u16, management: u16) -> Result<String> {
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let (certificate, key) = (home.join("cert.pem"), home.join("key.pem"));
    std::fs::write(&certificate, own.cert.pem())?;
    std::fs::write(&key, own.signing_key.serialize_pem())?;
    let configuration = json!({
        "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": certificate,
            "privateKey": key,
            "httpPort": ground.http01_port,
            "tlsPort": ground.http01_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }
    });
    std::fs::write(home.join("config.json"), configuration.to_string())?;
    Ok(own.cert.pem())
}
