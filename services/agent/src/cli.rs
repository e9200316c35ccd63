//! The command line.

use std::path::PathBuf;

use certfleet_domain::AgentName;
use clap::{Args, Parser, Subcommand};

/// Puts certificates of the fleet where they are served, on the host that it runs on.
#[derive(Debug, Parser)]
#[command(name = "certfleet-agent", version)]
pub struct Cli {
    /// The settings: what it may do.
    #[arg(
        long,
        value_name = "FILE",
        env = "CERTFLEET_AGENT_CONFIG",
        default_value = "/etc/certfleet/agent.yaml"
    )]
    pub config: PathBuf,
    /// Log as JSON, also on a terminal.
    #[arg(long)]
    pub json_log: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make this host known, once, with the token that `certfleet agent invite` has printed.
    Enrol(EnrolArgs),
    /// Deliver what is due on this host, for ever.
    Run(RunArgs),
    /// Read the settings, and say what they allow.
    Check,
}

/// Whom to enrol with.
#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// The URL at which the API hears agents.
    #[arg(long, value_name = "URL")]
    pub server: String,
    /// As whom this host was invited.
    #[arg(long, value_name = "NAME")]
    pub name: AgentName,
    /// The token of the invitation. Others see command lines: the variable is better.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "CERTFLEET_AGENT_TOKEN",
        hide_env_values = true
    )]
    pub token: String,
    /// The roots that the API's certificate leads to, PEM; without it, those that this system trusts. They are kept.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
}

/// How to run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// End when nothing is due any more, instead of waiting.
    #[arg(long)]
    pub once: bool,
}
