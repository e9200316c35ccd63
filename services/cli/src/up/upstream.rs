//! A certificate from somebody else's ACME server, in the drill: on the day of the disaster, what the fleet has of others has to
//! be renewed as well.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Context as _;
use certfleet_domain::Identifier;
use clap::Args;
use instant_acme::ExternalAccountKey;
use tokio::net::TcpListener;

use super::demonstrate::{Directory, Issued, issue};
use super::ports::Answer;
use crate::failure::Failure;
use crate::mac_key::read_mac_key;

/// Which other authority, and what it is to certify.
#[derive(Debug, Args)]
pub struct UpstreamArgs {
    /// Get a certificate from this ACME directory as well, Let's Encrypt's staging for one, with an account made for it. Its
    /// terms are agreed to.
    #[arg(long = "upstream", value_name = "URL", requires = "name")]
    url: Option<String>,
    /// The name, or the address, that it is for. It has to lead to this machine.
    #[arg(long = "upstream-name", value_name = "NAME", requires = "url")]
    name: Option<Identifier>,
    /// The port on which that authority's http-01 challenge is answered, on all addresses.
    #[arg(
        long = "upstream-http01-port",
        value_name = "PORT",
        default_value_t = 80,
        requires = "url"
    )]
    http01_port: u16,
    /// The root that the directory's own certificate leads to, PEM; without it, those that this system trusts.
    #[arg(long = "upstream-root", value_name = "FILE", requires = "url")]
    root: Option<PathBuf>,
    /// The identifier of the key that binds the account to one there (RFC 8555, 7.3.4).
    #[arg(
        long = "upstream-eab-kid",
        value_name = "KID",
        requires = "url",
        requires = "eab_key_file"
    )]
    eab_kid: Option<String>,
    /// The file with that key, in base64url as authorities give it.
    #[arg(
        long = "upstream-eab-key-file",
        value_name = "FILE",
        requires = "eab_kid"
    )]
    eab_key_file: Option<PathBuf>,
}

/// Another authority, all that is asked for it at hand.
pub struct Upstream {
    url: String,
    name: Identifier,
    root: Option<PathBuf>,
    binding: Option<ExternalAccountKey>,
    answer: Answer,
}

impl UpstreamArgs {
    /// Takes the port and reads the files; `None` if no other authority is asked for. Said before anything is started.
    pub async fn prepare(&self) -> Result<Option<Upstream>, Failure> {
        let (Some(url), Some(name)) = (&self.url, &self.name) else {
            return Ok(None);
        };
        if matches!(name, Identifier::Wildcard(_)) {
            let why = "a wildcard cannot be proven by http-01: name a host with --upstream-name";
            return Err(Failure::new(why));
        }
        let port = self.http01_port;
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
            .await
            .with_context(|| {
                format!("port {port}, on which the http-01 challenge of {url} is to be answered: choose another with --upstream-http01-port")
            })?;
        if let Some(root) = &self.root {
            std::fs::read(root).with_context(|| root.display().to_string())?;
        }
        Ok(Some(Upstream {
            url: url.clone(),
            name: name.clone(),
            root: self.root.clone(),
            binding: self.binding()?,
            answer: Answer::Http01(listener),
        }))
    }

    fn binding(&self) -> Result<Option<ExternalAccountKey>, Failure> {
        let (Some(kid), Some(file)) = (&self.eab_kid, &self.eab_key_file) else {
            return Ok(None);
        };
        let key = read_mac_key(file)?;
        Ok(Some(ExternalAccountKey::new(kid.clone(), &key)))
    }
}

impl Upstream {
    /// Gets the certificate.
    pub async fn issue(&self) -> Result<(Issued, String), Failure> {
        let directory = Directory {
            url: &self.url,
            root: self.root.as_deref(),
            binding: self.binding.as_ref(),
        };
        let issued = issue(&directory, &self.name, &self.answer)
            .await
            .with_context(|| format!("{} did not issue a certificate", self.url))?;
        let detail = format!("issued for {} by {}", self.name, issued.issuer);
        Ok((issued, detail))
    }
}
