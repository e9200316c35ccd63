//! An agent is invited.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certfleet_agent_protocol::token_digest;
use certfleet_audit::Act;
use certfleet_domain::{Agent, AgentName, Clock as _, SystemClock, SystemRng, Timestamp};
use certfleet_service_kit::settings::parse_duration;
use certfleet_storage::CommitError;
use clap::Args;
use rand::RngCore as _;
use serde::Serialize;

use crate::connection::{settings, store};
use crate::failure::Failure;
use crate::operator::Operator;
use crate::output::{Output, moment};

/// So many random octets are a token.
const OCTETS: usize = 32;
/// An invitation is good for a week at the most.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whom to invite.
#[derive(Debug, Args)]
pub struct InviteArgs {
    /// The agent's name: that of its host, say.
    name: AgentName,
    /// How long the invitation is good for, up to 7d.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_validity)]
    valid_for: Duration,
    /// Invite an agent that there is already, whose host was set up anew, say. What it showed before counts no more, at once.
    #[arg(long)]
    again: bool,
}

fn parse_validity(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() || duration > LONGEST {
        return Err("a duration up to 7d is due".to_owned());
    }
    Ok(duration)
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
pub async fn run(args: &InviteArgs, config: Option<PathBuf>, out: Output) -> Result<(), Failure> {
    let settings = settings(config)?;
    let store = store(&settings).await?;
    let mut octets = [0; OCTETS];
    SystemRng.fill_bytes(&mut octets);
    let token = URL_SAFE_NO_PAD.encode(octets);
    let now = SystemClock.now();
    let (digest, until) = (token_digest(&token), now + args.valid_for);
    let unit = match store.deliveries.agent(&args.name).await? {
        None => {
            let agent = Agent::invited(args.name.clone(), digest, until, now);
            store.deliveries.insert_agent(&agent)?
        }
        Some(agent) if args.again => store
            .deliveries
            .update_agent(&agent.invite_again(digest, until))?,
        Some(_) => {
            let why = format!(
                "there is an agent {} already: --again invites it anew, and shuts out what it is now",
                args.name
            );
            return Err(Failure::new(why));
        }
    };
    let event = Operator::here().event(Act::InviteAgent, format_args!("agent/{}", args.name));
    let done = store.commit(unit.recording(&event)?).await;
    done.map_err(|error| match error {
        CommitError::Storage(error) => error.into(),
        CommitError::Changed { .. } | CommitError::Duplicate { .. } => {
            Failure::new("somebody else invites it at this moment: nothing was done")
        }
    })?;
    let invited = Invited {
        name: args.name.to_string(),
        token,
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
