//! `certfleet solver`: zones that the fleet may change, to prove names in them by dns-01 (FLT-8).

mod add;
mod list;

use std::path::PathBuf;

use certfleet_domain::SolverName;
use certfleet_management::remove_solver;
use certfleet_management::views::SolverView;
use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::Output;

/// Say which zones the fleet may change, to prove names in them by dns-01.
#[derive(Debug, Subcommand)]
pub enum SolverCommand {
    /// Add a zone. A record is published there and removed first, so that what is wrong is told now.
    Add(Box<add::AddArgs>),
    /// Remove a zone, and its key.
    Remove {
        /// Its name.
        name: SolverName,
    },
    /// List the zones.
    List,
}

/// Carries out a `solver` command.
pub async fn run(
    command: SolverCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    match command {
        SolverCommand::Add(args) => add::run(*args, config, out).await,
        SolverCommand::Remove { name } => {
            let store = open(config).await?;
            let found = store.solvers.find(&name).await?;
            let found = found.ok_or_else(|| Failure::not_found("solver", &name))?;
            let plan = remove_solver(&store, found).await?;
            let removed = plan.carry_out(&store, Operator::here().sender()).await?;
            let view = SolverView::from(&removed);
            out.show(&view, |sheet| {
                sheet.line(format_args!("{name} is no more"));
            })
        }
        SolverCommand::List => list::run(&open(config).await?, out).await,
    }
}
