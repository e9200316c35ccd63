//! `certfleet notice`: what people were told without having asked (OPS-7).

use std::path::PathBuf;

use certfleet_management::test_notices;
use certfleet_management::views::NoticeView;
use clap::Subcommand;

use crate::connection::open;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment};

/// Look at what people were told without having asked.
#[derive(Debug, Subcommand)]
pub enum NoticeCommand {
    /// List notices, the newest first: what each is about, and whether it was told.
    List {
        /// At most so many.
        #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Have a test told by every channel that the workers have.
    Test,
}

/// Carries out a `notice` command.
pub async fn run(
    command: NoticeCommand,
    config: Option<PathBuf>,
    out: Output,
) -> Result<(), Failure> {
    let store = open(config).await?;
    match command {
        NoticeCommand::List { limit } => {
            let found = store.notices.last(limit).await?;
            let all: Vec<NoticeView> = found.iter().map(NoticeView::from).collect();
            out.show(&all, |sheet| {
                if all.is_empty() {
                    sheet.line("there was nothing to tell; `certfleet notice test` shows whether notices arrive");
                    return;
                }
                let rows = all.iter().map(|one| {
                    [
                        moment(one.created_at),
                        one.topic.to_owned(),
                        one.subject.clone(),
                        one.status.to_owned(),
                        one.told.join(" "),
                        one.trouble.clone().unwrap_or_default(),
                    ]
                });
                if all.iter().any(|one| one.status == "recorded") {
                    sheet.line("what is recorded was told to nobody: the workers' section notices has neither smtp nor webhook");
                }
                sheet.table(["since", "topic", "what", "status", "by", "trouble"], rows);
            })
        }
        NoticeCommand::Test => {
            let plan = test_notices(&store)?;
            let made = plan.carry_out(&store, Operator::here().sender()).await?;
            let view = NoticeView::from(&made);
            out.show(&view, |sheet| {
                sheet.line(
                    "a worker tells it within 15 seconds: certfleet notice list says what came of it",
                );
            })
        }
    }
}
