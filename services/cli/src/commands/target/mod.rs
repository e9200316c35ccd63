//! `certfleet target`: places that certificates of the fleet are delivered to (DEP-1).

mod add;
mod list;

use std::path::PathBuf;

use certfleet_domain::TargetName;
use certfleet_management::remove_target;
use certfleet_management::views::TargetView;
use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// Say where certificates are delivered to.
#[derive(Debug, Subcommand)]
pub enum TargetCommand {
    /// Add a place: files on a host, what is run there when they have changed, and where the certificate is served then.
    Add(Box<add::AddArgs>),
    /// Remove a place that nothing is delivered to any more. Files that are there stay.
    Remove {
        /// Its name.
        name: TargetName,
    },
    /// List the places, and how many certificates are there or on their way.
    List,
}

/// Carries out a `target` command.
pub async fn run(
    command: TargetCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    match command {
        TargetCommand::Add(args) => add::run(&store, *args, out).await,
        TargetCommand::Remove { name } => {
            let found = store.deliveries.target(&name).await?;
            let target = found.ok_or_else(|| Failure::not_found("target", &name))?;
            let plan = remove_target(&store, target).await?;
            let removed = plan.carry_out(&store, Operator::here().sender()).await?;
            let view = TargetView::from(&removed);
            out.show(&view, |sheet| {
                sheet.line(format_args!("the target {name} is no more"));
            })
        }
        TargetCommand::List => list::run(&store, out).await,
    }
}
