//! `certfleet agent`: the hosts that certificates are delivered to, by what runs on them (DEP-3).

mod invite;
mod list;

use std::path::PathBuf;

use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::output::Output;

/// Invite the agents of hosts, and look at them.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Invite a host's agent: prints what it enrols with, once.
    Invite(invite::InviteArgs),
    /// List agents: whether each has enrolled, and when it was heard of last.
    List,
}

/// Carries out an `agent` command.
pub async fn run(
    command: AgentCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    match command {
        AgentCommand::Invite(args) => invite::run(&args, config, out).await,
        AgentCommand::List => list::run(&open(config).await?, out).await,
    }
}
