//! Pebble, the ACME server that Let's Encrypt tests clients with: here it is somebody else's authority.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use certfleet_supervisor::pick_free_ports;
use serde_json::json;

use crate::replica_set::tools_directory;
use crate::server::Server;

/// How Pebble is to be.
#[derive(Debug, Clone, Default)]
pub struct PebbleOptions {
    /// The port that it looks for http-01 challenges on.
    pub http01_port: u16,
    /// The DNS server that it asks; the system's without it.
    pub dns: Option<SocketAddr>,
    /// Only accounts that are bound with this key are welcome: its identifier, and the key in base64url.
    pub binding: Option<(String, String)>,
}

/// Pebble, in memory. It sleeps before no validation, refuses no good nonce, and has each name proven for each order.
pub struct PebbleServer {
    server: Server,
}

impl PebbleServer {
    /// Starts it.
    pub async fn start(options: &PebbleOptions) -> Self {
        let program = tools_directory().join("go/pebble/pebble");
        let env = [
            ("PEBBLE_VA_NOSLEEP", "1"),
            ("PEBBLE_WFE_NONCEREJECT", "0"),
            ("PEBBLE_AUTHZREUSE", "0"),
        ];
        let args = |port: u16, directory: &Path| {
            let config = configure(options, port, directory);
            let mut args = vec!["-config".to_owned(), config.display().to_string()];
            if let Some(dns) = options.dns {
                args.extend(["-dnsserver".to_owned(), dns.to_string()]);
            }
            args
        };
        Self {
            server: Server::start("pebble", program, &env, args).await,
        }
    }

    /// Its directory.
    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.server.port())
    }

    /// How many orders it was asked for so far, refused ones among them.
    pub fn orders(&self) -> usize {
        let log = fs::read_to_string(self.server.log()).unwrap();
        log.matches("POST /order-plz").count()
    }

    /// What its own certificate is to be trusted by, PEM.
    pub fn root(&self) -> PathBuf {
        root_in(self.server.directory())
    }
}

fn root_in(directory: &Path) -> PathBuf {
    directory.join("pebble.pem")
}

fn configure(options: &PebbleOptions, port: u16, directory: &Path) -> PathBuf {
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (root, key) = (root_in(directory), directory.join("pebble.key"));
    fs::write(&root, own.cert.pem()).unwrap();
    fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let keys: serde_json::Map<_, _> = options
        .binding
        .iter()
        .map(|(id, key)| (id.clone(), json!(key)))
        .collect();
    let configuration = json!({ "pebble": {
        "listenAddress": format!("127.0.0.1:{port}"),
        "managementListenAddress": format!("127.0.0.1:{}", pick_free_ports(1).unwrap()[0]),
        "certificate": root,
        "privateKey": key,
        "httpPort": options.http01_port,
        "tlsPort": options.http01_port,
        "externalAccountBindingRequired": options.binding.is_some(),
        "externalAccountMACKeys": keys,
        "domainBlocklist": ["blocked-domain.example"],
        "keyAlgorithm": "ecdsa",
        "profiles": {
            "default": { "description": "90 days", "validityPeriod": 7_776_000 },
            "shortlived": { "description": "6 days", "validityPeriod": 518_400 },
        },
    } });
    let file = directory.join("pebble.json");
    fs::write(&file, configuration.to_string()).unwrap();
    file
}
