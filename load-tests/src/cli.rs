//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::load::Accounts;
use crate::peers::Kind;

/// Full ACME flows against any directory, with latency per step.
#[derive(Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    /// Threads of this program, which shares the processor with the server under test.
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) threads: usize,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Put full flows on one server: order, authorization, HTTP-01, finalize, download.
    Flows(FlowsArgs),
    /// Compare servers on this machine, round by round: certfleet, Caddy's `acme_server`, Pebble.
    Bench(BenchArgs),
    /// Resolve every name to 127.0.0.1, for a server that is started by hand.
    Dns {
        /// Address to answer on, over UDP and TCP.
        #[arg(long, default_value = "127.0.0.1:5353")]
        listen: SocketAddr,
    },
}

#[derive(Args)]
pub(crate) struct FlowsArgs {
    /// The server's ACME directory.
    #[arg(long, value_name = "URL")]
    pub(crate) directory: String,
    /// Roots that the server's TLS certificate may chain to.
    #[arg(long, value_name = "PEM")]
    pub(crate) root: Option<PathBuf>,
    /// Take the server for what it says it is.
    #[arg(long, conflicts_with = "root")]
    pub(crate) insecure: bool,
    /// Allow a directory that is not on this machine. Never a public CA's: they forbid it.
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// How long to measure, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// Load before that, which is not measured, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub(crate) warm_up: Duration,
    /// Stop after so many flows instead.
    #[arg(long, value_name = "N", conflicts_with_all = ["duration", "warm_up"])]
    pub(crate) flows: Option<u64>,
    /// Clients at once, each doing one flow after another over one connection.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) clients: u16,
    /// How control of the names is proven.
    #[arg(long, value_enum, default_value = "http-01")]
    pub(crate) challenge: ChallengeKind,
    /// Port on 127.0.0.1 where HTTP-01 challenges are answered; 0 takes a free one, for a server that does not
    /// look.
    #[arg(long, value_name = "PORT", default_value_t = 5002)]
    pub(crate) http01_port: u16,
    /// Also resolve every name to 127.0.0.1, on this address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) dns: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// The `certfleet` command, with the services beside it.
    #[arg(long, value_name = "PATH", default_value = "target/release/certfleet")]
    pub(crate) certfleet: PathBuf,
    /// The `certfleet` command of another build, for the peer `certfleet-other`: what a change costs or brings.
    #[arg(long, value_name = "PATH")]
    pub(crate) other: Option<PathBuf>,
    /// Servers to compare, in this order. Ratios are the first one's to each other.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "certfleet,caddy,pebble"
    )]
    pub(crate) peers: Vec<Kind>,
    /// Clients at once, each doing one flow after another over one connection; a comparison for each number.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "16,64,128,256",
        value_parser = clap::value_parser!(u16).range(1..=4096)
    )]
    pub(crate) clients: Vec<u16>,
    /// Rounds for each number of clients; each measures every server once.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Measured time of each server in each round, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// Load before that, which is not measured, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub(crate) warm_up: Duration,
    /// So much of a core, in percent, for each replica of certfleet's services and no more, as if it had a node of its own.
    /// Linux, as root.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(10..=10_000))]
    pub(crate) share: Option<u32>,
    /// Where the servers' data goes, in a directory that is removed in the end. Its disk matters.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Args)]
pub(crate) struct LoadArgs {
    /// Names in each certificate.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) names: u16,
    /// Who orders.
    #[arg(long, value_enum, default_value = "per-client")]
    pub(crate) accounts: Accounts,
    /// A flow that takes longer has failed, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) flow_timeout: Duration,
    /// Also write the result as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Ways to prove control of a name.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum ChallengeKind {
    #[value(name = "http-01")]
    Http01,
}

/// A duration from seconds with a fraction, up to a day.
fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    if !(0.0..=86_400.0).contains(&value) {
        return Err("it has to be between 0 and 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(value))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_bounded() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["-1", "NaN", "inf", "90000", "x"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
