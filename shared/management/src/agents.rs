//! Hosts' agents.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certfleet_agent_protocol::token_digest;
use certfleet_audit::Act;
use certfleet_domain::{
    Agent, AgentName, Clock as _, ProjectName, SystemClock, SystemRng, Timestamp,
};
use certfleet_storage::Store;
use rand::RngCore as _;
use zeroize::Zeroizing;

use crate::plan::Plan;
use crate::projects;
use crate::refused::Refused;

/// So many random octets are a token.
const OCTETS: usize = 32;
/// An invitation is good for a week at the most.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// An invitation, with its token: the only time that this is at hand.
pub struct Invitation {
    /// Who is invited.
    pub agent: Agent,
    /// What it enrols with, once.
    pub token: Zeroizing<String>,
    /// Until when.
    pub until: Timestamp,
}

/// An agent is invited; with `again`, one that there is already: what it showed before counts no more, at once.
pub async fn invite(
    store: &Store,
    (name, project): (AgentName, ProjectName),
    valid_for: Duration,
    again: bool,
) -> Result<Plan<Invitation>, Refused> {
    if valid_for.is_zero() || valid_for > LONGEST {
        let why = "an invitation is good for some time, up to 7 days";
        return Err(Refused::Invalid(why.to_owned()));
    }
    projects::require(store, &project).await?;
    let mut octets = Zeroizing::new([0; OCTETS]);
    SystemRng.fill_bytes(octets.as_mut());
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(octets.as_ref()));
    let now = SystemClock.now();
    let (digest, until) = (token_digest(&token), now + valid_for);
    let (agent, unit) = match store.deliveries.agent(&name).await? {
        None => {
            let agent = Agent::invited(name, digest, until, now).in_project(project);
            let unit = store.deliveries.insert_agent(&agent)?;
            (agent, unit)
        }
        Some(agent) if again && agent.project == project => {
            let agent = agent.invite_again(digest, until);
            let unit = store.deliveries.update_agent(&agent)?;
            (agent, unit)
        }
        Some(_) => {
            let why = format!(
                "there is an agent {name} already: --again invites it anew, and shuts out what it is now"
            );
            return Err(Refused::Conflict(why));
        }
    };
    let target = format!("agent/{}", agent.name);
    let invitation = Invitation {
        agent,
        token,
        until,
    };
    Ok(Plan::new(invitation, unit).recording(Act::InviteAgent, target))
}

/// An agent is removed: its certificate counts no more, at once.
pub async fn remove(store: &Store, agent: Agent) -> Result<Plan<Agent>, Refused> {
    if !store.deliveries.targets_on(&agent.name).await?.is_empty() {
        let why = format!("{} has targets yet", agent.name);
        return Err(Refused::Conflict(why));
    }
    let unit = store.deliveries.remove_agent(&agent);
    let target = format!("agent/{}", agent.name);
    Ok(Plan::new(agent, unit).recording(Act::RemoveAgent, target))
}
