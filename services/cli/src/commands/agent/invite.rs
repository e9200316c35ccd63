//! An agent is invited.

use std::path::PathBuf;
use std::time::Duration;

use certfleet_domain::{AgentName, ProjectName, Timestamp};
use certfleet_management::{Invitation, invite};
use certfleet_service_kit::settings::parse_duration;
use clap::Args;
use serde::Serialize;

use crate::connection::{settings, store};
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment};

/// Whom to invite.
#[derive(Debug, Args)]
pub struct InviteArgs {
    /// The agent's name: that of its host, say.
    name: AgentName,
    /// How long the invitation is good for, up to 7d.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    valid_for: Duration,
    /// Invite an agent that there is already, whose host was set up anew, say. What it showed before counts no more, at once.
    #[arg(long)]
    again: bool,
    /// Whose host it is.
    #[arg(long, value_name = "NAME", default_value_t)]
    project: ProjectName,
}

#[derive(Serialize)]
struct Invited {
    name: String,
    token: String,
    /// Where it enrols, if the settings say so.
    url: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    until: Timestamp,
}

/// Invites it.
pub async fn run(args: InviteArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let settings = settings(config)?;
    let store = store(&settings).await?;
    let whom = (args.name, args.project);
    let plan = invite(&store, whom, args.valid_for, args.again).await?;
    let Invitation {
        agent,
        token,
        until,
    } = plan.carry_out(&store, Operator::here().sender()).await?;
    let invited = Invited {
        name: agent.name.to_string(),
        token: token.to_string(),
        url: settings.agents.url.map(|url| url.as_str().to_owned()),
        until,
    };
    out.show(&invited, |sheet| {
        sheet.title("The agent is invited; the token is not shown again");
        sheet.pairs([
            ("agent", invited.name.clone()),
            ("token", invited.token.clone()),
            ("until", moment(invited.until)),
        ]);
        sheet.line("");
        let url = invited.url.as_deref().unwrap_or("https://...");
        sheet.line(format_args!(
            "certfleet-agent enrol --server {url} --name {} --token {}",
            invited.name, invited.token
        ));
    })
}
