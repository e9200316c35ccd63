//! The host is made known, once. What it enrols with is kept before it is sent, so that an answer that is lost is asked for again.

use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, ensure};
use certfleet_agent_protocol::Enrol;

use crate::api::Api;
use crate::cli::EnrolArgs;
use crate::identity;
use crate::settings::Settings;
use crate::state::{Enrolment, ROOTS, State};

/// Enrols this host.
pub async fn enrol(settings: &Settings, args: &EnrolArgs) -> anyhow::Result<()> {
    ensure!(
        args.server.starts_with("https://"),
        "{}: https:// is due: keys come from there",
        args.server
    );
    let state = State::open(&settings.state)?;
    if let Some(root) = &args.root {
        let roots = fs::read(root).with_context(|| root.display().to_string())?;
        state.put(ROOTS, &roots)?;
    }
    if identity::certificate(&state, identity::ENROLLING)?.is_none() {
        identity::make(&state, identity::ENROLLING, &args.name)?;
    }
    let api = Api::new(&args.server, state.roots(), state.path(identity::ENROLLING))?;
    api.enrol(&Enrol {
        name: args.name.clone(),
        token: args.token.clone(),
    })
    .await?;
    state.enrolled(&Enrolment {
        server: args.server.clone(),
        name: args.name.clone(),
    })?;
    state.rename(identity::ENROLLING, identity::SHOWN)?;
    writeln!(
        anstream::stdout(),
        "{} is enrolled at {}: certfleet-agent run",
        args.name,
        args.server
    )?;
    Ok(())
}
