//! `certfleet project`: what belongs to whom (FLT-1).

use std::path::PathBuf;

use certfleet_domain::{ProjectName, Timestamp};
use certfleet_management::views::ProjectView;
use certfleet_management::{add_project, remove_project};
use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment_or_none};

/// Keep apart what belongs to whom.
#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Add a project: authorities, zones, hosts and certificates of its own.
    Add {
        /// Its name.
        name: ProjectName,
        /// What it is, for people.
        #[arg(long, value_name = "TEXT")]
        title: Option<String>,
    },
    /// List the projects.
    List,
    /// Remove a project that has nothing any more.
    Remove {
        /// Its name.
        name: ProjectName,
    },
}

/// Carries out a `project` command.
pub async fn run(
    command: ProjectCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    let operator = Operator::here();
    match command {
        ProjectCommand::Add { name, title } => {
            let plan = add_project(&store, name, title)?;
            let made = plan.carry_out(&store, operator.sender()).await?;
            let view = ProjectView::from(&made);
            out.show(&view, |sheet| {
                sheet.line(format_args!(
                    "what is to belong to it is added with --project {}",
                    view.name
                ));
            })
        }
        ProjectCommand::List => {
            let all = store.access.projects().await?;
            let all: Vec<ProjectView> = all.iter().map(ProjectView::from).collect();
            out.show(&all, |sheet| {
                let rows = all.iter().map(|one| {
                    let title = one.title.clone().unwrap_or_default();
                    // The first has always been there.
                    let since = Some(one.created_at).filter(|at| *at > Timestamp::UNIX_EPOCH);
                    [one.name.clone(), title, moment_or_none(since)]
                });
                sheet.table(["name", "title", "since"], rows);
            })
        }
        ProjectCommand::Remove { name } => {
            let found = store.access.project(&name).await?;
            let project = found.ok_or_else(|| Failure::not_found("project", &name))?;
            let plan = remove_project(&store, project).await?;
            let removed = plan.carry_out(&store, operator.sender()).await?;
            let view = ProjectView::from(&removed);
            out.show(&view, |sheet| {
                sheet.line(format_args!("the project {name} is no more"));
            })
        }
    }
}
