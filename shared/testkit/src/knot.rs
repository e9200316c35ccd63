//! Knot DNS, a real server that takes dynamic updates which are signed.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::server::Server;

/// The name of the key that it knows.
pub const KNOT_KEY_NAME: &str = "fleet.key";
/// That key, in base64.
pub const KNOT_KEY: &str = "Y2VydGZsZWV0J3MgdGVzdHMgdXNlIHRoaXMga2V5ISE=";

/// A running Knot, primary of one zone.
pub struct KnotServer {
    server: Server,
    zone: String,
}

impl KnotServer {
    /// Starts it, with a zone of this name in which every name has the address 127.0.0.1.
    pub async fn start(zone: &str) -> Self {
        let args = |port: u16, home: &Path| {
            fs::create_dir(home.join("db")).unwrap();
            let file = home.join("knot.conf");
            fs::write(&file, configuration(home, port, zone)).unwrap();
            fs::write(home.join("zone"), records(zone)).unwrap();
            vec!["-c".to_owned(), file.display().to_string()]
        };
        Self {
            server: Server::start("knotd", "/usr/sbin/knotd".into(), &[], args).await,
            zone: zone.to_owned(),
        }
    }

    /// Starts it again, with what the zone was.
    pub async fn resume(&mut self) {
        self.server.run().await;
    }

    /// Kills it; it can be [resumed](Self::resume).
    pub async fn stop(&mut self) {
        self.server.stop().await;
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.server.port()).into()
    }

    /// The zone's serial number: it grows by one with each change.
    pub fn serial(&self) -> u32 {
        let soa = self.dig(&["SOA", &self.zone]);
        let serial = soa.split_whitespace().nth(2).unwrap_or_default();
        serial.parse().unwrap_or_else(|_| panic!("no SOA: {soa:?}"))
    }

    /// The texts that it has under a name.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let answer = self.dig(&["TXT", name]);
        answer
            .lines()
            .map(|line| line.trim_matches('"').to_owned())
            .collect()
    }

    fn dig(&self, question: &[&str]) -> String {
        let output = Command::new("kdig")
            .args([
                "@127.0.0.1",
                "-p",
                &self.server.port().to_string(),
                "+short",
                "+tcp",
            ])
            .args(question)
            .output()
            .expect(
                "kdig is not there: `make test` installs it, or `apt-get install knot-dnsutils`",
            );
        String::from_utf8(output.stdout).unwrap()
    }
}

fn configuration(home: &Path, port: u16, zone: &str) -> String {
    let home = home.display();
    format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: {home}\n  pidfile: {home}/knot.pid\n\
         log:\n  - target: stdout\n    any: info\n\
         database:\n  storage: {home}/db\n\
         key:\n  - id: {KNOT_KEY_NAME}\n    algorithm: hmac-sha256\n    secret: {KNOT_KEY}\n\
         acl:\n  - id: fleet\n    key: {KNOT_KEY_NAME}\n    action: update\n\
         zone:\n  - domain: {zone}\n    storage: {home}\n    file: zone\n    acl: fleet\n    serial-policy: increment\n",
    )
}

fn records(zone: &str) -> String {
    format!(
        "$ORIGIN {zone}.\n$TTL 30\n@ SOA ns hostmaster 1 3600 600 86400 30\n@ NS ns\nns A 127.0.0.1\n@ A 127.0.0.1\n* A 127.0.0.1\n"
    )
}
