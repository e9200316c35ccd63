//! `certfleet upstream`: whom the fleet has certificates from (FLT-1).

mod add;
mod list;

use std::path::PathBuf;

use certfleet_domain::UpstreamName;
use certfleet_management::remove_upstream;
use certfleet_management::views::UpstreamView;
use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// Say whom the fleet has certificates from: your own authority, or any ACME directory.
#[derive(Debug, Subcommand)]
pub enum UpstreamCommand {
    /// Add an authority. A worker makes the fleet's account there when the first certificate is wanted.
    Add(Box<add::AddArgs>),
    /// Remove an authority that no certificate is to be had from any more, and the key of the fleet's account there.
    Remove {
        /// Its name.
        name: UpstreamName,
    },
    /// List the authorities.
    List,
}

/// Carries out an `upstream` command.
pub async fn run(
    command: UpstreamCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    match command {
        UpstreamCommand::Add(args) => add::run(*args, config, out).await,
        UpstreamCommand::Remove { name } => {
            let store = open(config).await?;
            let found = store.fleet.upstream(&name).await?;
            let found =
                found.ok_or_else(|| Failure::not_found("authority in the fleet called", &name))?;
            let plan = remove_upstream(&store, found).await?;
            let removed = plan.carry_out(&store, Operator::here().sender()).await?;
            let view = UpstreamView::from(&removed);
            out.show(&view, |sheet| {
                sheet.line(format_args!("{name} is no more"));
            })
        }
        UpstreamCommand::List => list::run(config, out).await,
    }
}
