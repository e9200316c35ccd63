//! Asks, delivers, reports; for ever.

use std::time::Duration;

use anyhow::Context as _;
use certfleet_agent_protocol::{LONGEST_REASON, MOST_REPORTS, NextCertificate, Outcome, Report};
use certfleet_domain::{Clock as _, SystemClock, Timestamp};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, ApiError};
use crate::delivering::{Delivering, Journal};
use crate::identity;
use crate::settings::Settings;
use crate::state::{Enrolment, State};

/// How long to rest when the API is away: the first time, and the longest.
const RESTS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The agent at work.
struct Agent {
    state: State,
    enrolment: Enrolment,
    delivering: Delivering,
    api: Api,
    renew_at: Timestamp,
}

/// Delivers what is due; for ever, or until nothing is due any more.
pub async fn run(settings: Settings, once: bool) -> anyhow::Result<()> {
    let state = State::open(&settings.state)?;
    let enrolment = state.enrolment()?.context(
        "this host is not enrolled: `certfleet agent invite NAME`, then `certfleet-agent enrol`",
    )?;
    // Whatever a run of before was broken off in.
    Journal::recover(&state)?;
    let mut agent = Agent::new(state, enrolment, settings)?;
    if once {
        return agent.once().await;
    }
    let stopped = stopped()?;
    let name = &agent.enrolment.name;
    tracing::info!(agent = %name, server = agent.enrolment.server, "delivers what is due on this host");
    let mut rest = RESTS.0;
    while !stopped.is_cancelled() {
        let round = async {
            // What it shows is good for a while yet.
            if let Err(error) = agent.keep_known().await {
                tracing::warn!(%error, "shows the same certificate for now");
            }
            agent.api.deliveries(true).await
        };
        let asked = stopped.run_until_cancelled(round).await;
        match asked {
            None => break,
            Some(Ok(delivery)) => {
                rest = RESTS.0;
                if !delivery.items.is_empty() {
                    // Not to be broken off: what is begun is brought to its end.
                    let reports = agent.delivering.deliver(&agent.state, delivery).await;
                    agent.report(reports, &stopped).await;
                }
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "asks again in {rest:?}");
                stopped.run_until_cancelled(sleep(rest)).await;
                rest = (rest * 2).min(RESTS.1);
            }
        }
    }
    tracing::info!("stopped");
    Ok(())
}

fn stopped() -> anyhow::Result<CancellationToken> {
    let stopped = CancellationToken::new();
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let tell = stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tell.cancel();
    });
    Ok(stopped)
}

impl Agent {
    fn new(state: State, enrolment: Enrolment, settings: Settings) -> anyhow::Result<Self> {
        let (api, renew_at) = open(&state, &enrolment)?;
        Ok(Self {
            delivering: Delivering::new(settings)?,
            state,
            enrolment,
            api,
            renew_at,
        })
    }

    /// Delivers what is due now, and says what became of it.
    async fn once(&mut self) -> anyhow::Result<()> {
        let never = CancellationToken::new();
        self.keep_known().await?;
        loop {
            let delivery = self.api.deliveries(false).await?;
            if delivery.items.is_empty() {
                return Ok(());
            }
            let reports = self.delivering.deliver(&self.state, delivery).await;
            self.report(reports, &never).await;
        }
    }

    /// Has another certificate take the place of the agent's own, before that is over.
    async fn keep_known(&mut self) -> Result<(), ApiError> {
        let begun =
            identity::certificate(&self.state, identity::NEXT).map_err(|error| broken(&error))?;
        let certificate = match begun {
            // Announced, perhaps, and perhaps not.
            Some(certificate) => certificate,
            None if SystemClock.now() < self.renew_at => return Ok(()),
            None => {
                let made = identity::make(&self.state, identity::NEXT, &self.enrolment.name);
                made.map_err(|error| broken(&error))?;
                let made = identity::certificate(&self.state, identity::NEXT)
                    .map_err(|error| broken(&error))?;
                made.unwrap_or_default()
            }
        };
        self.api.announce(&NextCertificate { certificate }).await?;
        self.state
            .rename(identity::NEXT, identity::SHOWN)
            .map_err(|error| broken(&error))?;
        (self.api, self.renew_at) =
            open(&self.state, &self.enrolment).map_err(|error| broken(&error))?;
        tracing::info!("shows another certificate from here on");
        Ok(())
    }

    /// Says what became of a delivery, until the API has heard it. A process that ends before that does it all again.
    async fn report(&self, reports: Vec<Report>, stopped: &CancellationToken) {
        for reports in reports.chunks(MOST_REPORTS) {
            let reports: Vec<Report> = reports.iter().cloned().map(short).collect();
            let mut rest = RESTS.0;
            while let Err(error) = self.api.report(reports.clone()).await {
                if let ApiError::Refused(why) = &error {
                    tracing::error!(why, "a report is not taken");
                    break;
                }
                tracing::warn!(%error, "reports again in {rest:?}");
                if stopped.run_until_cancelled(sleep(rest)).await.is_none() {
                    return;
                }
                rest = (rest * 2).min(RESTS.1);
            }
        }
    }
}

fn open(state: &State, enrolment: &Enrolment) -> anyhow::Result<(Api, Timestamp)> {
    let certificate = identity::certificate(state, identity::SHOWN)?;
    let certificate = certificate.context("the agent has lost what it is known by: enrol anew")?;
    let identity = state.path(identity::SHOWN);
    let api = Api::new(&enrolment.server, state.roots(), identity)?;
    Ok((api, identity::renew_at(&certificate)?))
}

/// Trouble on this host, which may pass like that of others.
fn broken(error: &anyhow::Error) -> ApiError {
    ApiError::Away(format!("{error:#}"))
}

/// Without what would break a line, and no longer than the API takes it.
fn short(report: Report) -> Report {
    let outcome = match report.outcome {
        Outcome::Failed { why } => {
            let plain = why.chars().map(|c| if c.is_control() { ' ' } else { c });
            let why = plain.take(LONGEST_REASON).collect();
            Outcome::Failed { why }
        }
        placed @ Outcome::Placed { .. } => placed,
    };
    Report { outcome, ..report }
}
