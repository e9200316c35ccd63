//! What became of a delivery. A report that comes twice, or late, changes nothing that came after it.

use axum::extract::State;
use certfleet_agent_protocol::{LONGEST_REASON, MOST_REPORTS, Outcome, Report, Reports};
use certfleet_audit::{Act, Outcome as AuditOutcome};
use certfleet_domain::{Placement, ProblemKind};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::StatusCode;

use super::by_agent::ByAgent;
use super::message::Message;
use crate::app::App;
use crate::error::ApiError;

/// So many are written at the same time: in company.
const AT_ONCE: usize = 8;
/// How often one is tried that others are faster with.
const TRIES: usize = 5;

pub async fn post(
    State(app): State<App>,
    by: ByAgent,
    Message(Reports { reports }): Message<Reports>,
) -> Result<StatusCode, ApiError> {
    if reports.len() > MOST_REPORTS {
        let detail = format!("{MOST_REPORTS} reports at the most are due at once");
        return Err(ApiError::new(ProblemKind::Malformed, detail));
    }
    stream::iter(reports)
        .map(|report| take(&app, &by, report))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn take(app: &App, by: &ByAgent, report: Report) -> Result<(), ApiError> {
    for _ in 0..TRIES {
        let found = app.store.deliveries.placement(report.placement).await?;
        // Removed meanwhile; or another host's, which is not this one's to speak of.
        let Some(before) = found.filter(|found| found.agent == by.agent.name) else {
            return Ok(());
        };
        let (after, outcome, detail) = judge(&before, &report, app);
        if after == before {
            return Ok(());
        }
        let target = format!("placement/{}", report.placement);
        let event = by.event(app, Act::DeliverCertificate, target, detail);
        let unit = app.store.deliveries.update_placement(&after)?;
        let unit = unit.recording(&event.with_outcome(outcome))?;
        match app.store.commit(unit).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Contended)
}

fn judge(before: &Placement, report: &Report, app: &App) -> (Placement, AuditOutcome, String) {
    let (version, now) = (report.version, app.now());
    let told = format!("version {version} at {}", before.target);
    match &report.outcome {
        Outcome::Placed { seen } => {
            let after = before.clone().delivered(version, *seen, now);
            (after, AuditOutcome::Done, told)
        }
        Outcome::Failed { why } => {
            let why: String = why.chars().take(LONGEST_REASON).collect();
            let detail = format!("{told}: {why}");
            (
                before.clone().failed(version, why, now),
                AuditOutcome::Refused,
                detail,
            )
        }
    }
}
