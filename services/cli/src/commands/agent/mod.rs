//! `certfleet agent`: the hosts that certificates are delivered to, by what runs on them (DEP-3).

mod invite;
mod list;

use std::path::PathBuf;

use certfleet_domain::{AgentName, Clock as _, SystemClock};
use certfleet_management::remove_agent;
use certfleet_management::views::AgentView;
use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// Invite the agents of hosts, and look at them.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Invite a host's agent: prints what it enrols with, once.
    Invite(invite::InviteArgs),
    /// Remove an agent that has no targets any more: its certificate counts no more, at once.
    Remove {
        /// Its name.
        name: AgentName,
    },
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
        AgentCommand::Invite(args) => invite::run(args, config, out).await,
        AgentCommand::Remove { name } => {
            let store = open(config).await?;
            let found = store.deliveries.agent(&name).await?;
            let found = found.ok_or_else(|| Failure::not_found("agent", &name))?;
            let plan = remove_agent(&store, found).await?;
            let removed = plan.carry_out(&store, Operator::here().sender()).await?;
            let view = AgentView::of(&removed, None, SystemClock.now());
            out.show(&view, |sheet| {
                sheet.line(format_args!("{name} is no more"));
            })
        }
        AgentCommand::List => list::run(&open(config).await?, out).await,
    }
}
