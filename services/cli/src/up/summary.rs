//! What is said when the cluster is ready.

use std::path::{Path, PathBuf};

use certfleet_supervisor::Endpoints;
use serde::Serialize;

use super::demonstrate::Issued;
use crate::failure::Failure;
use crate::output::{Output, Sheet, joined, moment, print};

/// Where everything is.
#[derive(Debug, Serialize)]
pub struct Ready {
    /// How to reach it.
    #[serde(flatten)]
    pub endpoints: Endpoints,
    /// Where all of this, and the processes, are written down.
    pub cluster: PathBuf,
    /// The settings for this command.
    pub config: PathBuf,
    /// The chain of the certificate below.
    pub chain: PathBuf,
    /// Where CRLs, OCSP answers and issuers' certificates are had.
    pub revocation: String,
    /// Where hosts' agents are heard.
    pub agents: String,
    /// Whether the API itself answers there.
    pub fleet: bool,
    /// Where http-01 challenges are looked for.
    pub http01_port: u16,
    /// Where tls-alpn-01 challenges are looked for.
    pub tls_alpn_port: u16,
    /// The certificate that was got.
    pub certificate: Issued,
}

impl Ready {
    /// Says that the cluster is ready: for machines, one JSON object in one line.
    pub fn tell(&self, out: Output) -> Result<(), Failure> {
        if out.is_json() {
            return print(&format!("{}\n", serde_json::to_string(self)?));
        }
        out.show(self, |sheet| self.write(sheet))
    }

    fn write(&self, sheet: &mut Sheet) {
        let issued = &self.certificate;
        sheet.title("The first certificate of this start");
        sheet.pairs([
            ("names", joined(&issued.names)),
            ("serial", issued.serial.clone()),
            ("issuer", issued.issuer.clone()),
            ("valid from", moment(issued.not_before)),
            ("valid until", moment(issued.not_after)),
            ("proven by", issued.challenge.to_owned()),
            ("took", format!("{:.0} ms", issued.seconds * 1000.0)),
            ("chain", shown(&self.chain)),
        ]);
        sheet.title("certfleet is ready");
        sheet.pairs([
            ("directory", self.endpoints.directory.clone()),
            ("root", shown(&self.endpoints.root)),
            ("cluster", shown(&self.cluster)),
            ("revocation", self.revocation.clone()),
            ("agents", self.agents.clone()),
            ("http-01", format!("port {}", self.http01_port)),
            ("tls-alpn-01", format!("port {}", self.tls_alpn_port)),
        ]);
        sheet.title("Try it");
        if self.fleet {
            self.write_fleet(sheet);
        } else {
            self.write_clients(sheet);
        }
        sheet.line(format_args!(
            "  {} --config {} ca list",
            this_program(),
            shown(&self.config)
        ));
        sheet.line("\nCtrl-C stops everything; the next start goes on with the data.");
    }

    /// Clients that answer challenges themselves.
    fn write_clients(&self, sheet: &mut Sheet) {
        let (directory, root) = (&self.endpoints.directory, shown(&self.endpoints.root));
        sheet.line(format_args!(
            "  REQUESTS_CA_BUNDLE={root} certbot certonly --standalone --server {directory} --http-01-port {} \\\n    \
             --agree-tos --register-unsafely-without-email --config-dir /tmp/cb --work-dir /tmp/cb --logs-dir /tmp/cb -d \
             demo.localhost",
            self.http01_port
        ));
        sheet.line(format_args!(
            "  LEGO_CA_CERTIFICATES={root} lego --server {directory} --accept-tos --email you@example.org --http \\\n    \
             --http.port :{} --path /tmp/lego --domains demo.localhost run",
            self.http01_port
        ));
    }

    /// What of the fleet can be tried: names are proven by the API.
    fn write_fleet(&self, sheet: &mut Sheet) {
        let certfleet = format!("{} --config {}", this_program(), shown(&self.config));
        sheet.line(format_args!(
            "  {certfleet} cert add demo.localhost --upstream own"
        ));
        sheet.line(format_args!("  {certfleet} cert list"));
        sheet.line(format_args!("  {certfleet} agent invite here"));
    }
}

/// This program, as it was called.
fn this_program() -> String {
    let called = std::env::args_os().next();
    called.map_or_else(|| "certfleet".to_owned(), |path| shown(Path::new(&path)))
}

/// A path in a command line.
fn shown(path: &Path) -> String {
    let path = std::env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok())
        .unwrap_or(path);
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:".contains(c);
    if text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_can_be_copied_into_a_shell() {
        assert_eq!(shown(Path::new("/a/b.pem")), "/a/b.pem");
        assert_eq!(shown(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
