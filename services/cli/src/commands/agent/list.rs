//! The agents that there are.

use certfleet_domain::{Agent, AgentState, Clock as _, SystemClock, Timestamp};
use certfleet_storage::{Sighting, Store};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Output, moment_or_none};

#[derive(Serialize)]
struct View {
    name: String,
    /// `invited`, `enrolled` or `expired`.
    status: &'static str,
    /// The certificate that it shows, as its SHA-256 digest.
    fingerprint: Option<String>,
    /// Until when its certificate, or its invitation, is good.
    #[serde(with = "time::serde::rfc3339")]
    until: Timestamp,
    #[serde(with = "time::serde::rfc3339::option")]
    heard_of_at: Option<Timestamp>,
    software: Option<String>,
}

impl View {
    fn of(agent: &Agent, sighting: Option<Sighting>, now: Timestamp) -> Self {
        let (status, fingerprint, until) = match &agent.state {
            AgentState::Invited { until, .. } => ("invited", None, *until),
            AgentState::Enrolled { certificate, .. } => {
                let fingerprint = Some(certificate.fingerprint.to_string());
                ("enrolled", fingerprint, certificate.not_after)
            }
        };
        let (heard_of_at, software) = sighting.map_or((None, None), |sighting| {
            (Some(sighting.at), Some(sighting.software))
        });
        Self {
            name: agent.name.to_string(),
            status: if until <= now { "expired" } else { status },
            fingerprint,
            until,
            heard_of_at,
            software,
        }
    }
}

/// Lists them.
pub async fn run(store: &Store, out: Output) -> Result<(), Failure> {
    let now = SystemClock.now();
    let mut all = Vec::new();
    for agent in store.deliveries.agents().await? {
        let sighting = store.deliveries.sighting(&agent.name).await?;
        all.push(View::of(&agent, sighting, now));
    }
    out.show(&all, |sheet| {
        if all.is_empty() {
            sheet.line("there is no agent; `certfleet agent invite NAME` invites one");
            return;
        }
        let rows = all.iter().map(|one| {
            [
                one.name.clone(),
                one.status.to_owned(),
                moment_or_none(Some(one.until)),
                moment_or_none(one.heard_of_at),
                one.software.clone().unwrap_or_default(),
            ]
        });
        sheet.table(["name", "status", "until", "heard of", "software"], rows);
    })
}
