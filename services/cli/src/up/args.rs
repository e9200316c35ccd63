//! The arguments of `certfleet up`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

/// The port of the API unless another is given.
pub const PORT: u16 = 14_000;

const AFTER_HELP: &str = "\
What is started: three mongods as a replica set on 127.0.0.1 (unless --mongo-uri), the schema's migrations, an authority
with root and intermediate, workers, schedulers and API processes that share one HTTPS port. Then one certificate is
issued through the API's own ACME endpoint, as any client would, and shown.

Ctrl-C stops everything cleanly; the next start goes on with the data in --data. A process that dies is started again.
Where everything is: cluster.json in the data directory, for programs, and certfleet.yaml beside it, for this command:
  certfleet --config .certfleet/certfleet.yaml ca list

Other settings of the services, such as CERTFLEET_ACME_AUTHORIZATION_LIFETIME, are taken from the environment or the
file of --config, as far as they are not what this command decides itself.";

/// Run a whole cluster on this machine until Ctrl-C.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct UpArgs {
    /// API processes, which share the port.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub api: u32,

    /// Workers.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub worker: u32,

    /// Schedulers, one of which leads.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=64))]
    pub scheduler: u32,

    /// The API's HTTPS port on 127.0.0.1.
    #[arg(long, value_name = "PORT", default_value_t = PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// The mongod program; without it, `CERTFLEET_MONGOD`, `PATH` and .certfleet/tools are looked at.
    #[arg(long, value_name = "PATH", conflicts_with = "mongo_uri")]
    pub mongod: Option<PathBuf>,

    /// A replica set that runs already, instead of one of this command's own. The database's name is that of the
    /// settings (`CERTFLEET_DATABASE_NAME`), `certfleet` by default.
    #[arg(long, value_name = "URI")]
    pub mongo_uri: Option<String>,

    /// Where http-01 challenges are looked for. Without it: 80, or a free port if that one cannot be listened at.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub http01_port: Option<u16>,

    /// Where tls-alpn-01 challenges are looked for. Without it: 443, or a free port if that one cannot be listened at.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub tls_alpn_port: Option<u16>,

    /// The port on 127.0.0.1 at which relying parties get CRLs, OCSP answers and issuers' certificates, over plain HTTP.
    /// Certificates name it. Without it: the one after the API's, or a free port if that one is taken.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub revocation_port: Option<u16>,

    /// The port on 127.0.0.1 at which hosts' agents are heard. Without it: the one after that, or a free port if that one is
    /// taken.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub agents_port: Option<u16>,

    /// Have the API itself answer http-01 challenges, as it does for names of the fleet: these can be had from this cluster
    /// then, and clients that answer challenges themselves cannot have theirs.
    #[arg(long, conflicts_with = "http01_port")]
    pub fleet: bool,

    /// A DNS server for validation, such as 127.0.0.1:5353; may be given several times. Without it: the system's.
    #[arg(long, value_name = "ADDRESS")]
    pub resolver: Vec<ResolverAddress>,

    /// The data directory; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".certfleet")]
    pub data: PathBuf,
}

/// A DNS server's address; port 53 unless another is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolverAddress(pub SocketAddr);

impl FromStr for ResolverAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        address
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| "an address such as 192.0.2.53 or 127.0.0.1:5353 is due")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_has_port_53_unless_told() {
        for (text, due) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("::1", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            let read: ResolverAddress = text.parse().unwrap();
            assert_eq!(read.0.to_string(), due);
        }
        assert!("dns.example.org".parse::<ResolverAddress>().is_err());
    }
}
