//! An invited agent comes: its token is exchanged for the certificate that it shows.

use axum::extract::{FromRequest as _, FromRequestParts as _, Request, State};
use certfleet_agent_protocol::{Enrol, token_digest};
use certfleet_audit::{Act, Event};
use certfleet_domain::{CannotEnrol, ProblemKind};
use http::StatusCode;

use super::by_agent::{Shown, sender};
use super::message::Message;
use crate::app::App;
use crate::error::ApiError;

pub async fn post(State(app): State<App>, request: Request) -> Result<StatusCode, ApiError> {
    let (mut parts, body) = request.into_parts();
    let shown = Shown::from_request_parts(&mut parts, &app).await?;
    let request = Request::from_parts(parts.clone(), body);
    let Message(Enrol { name, token }) = Message::from_request(request, &app).await?;
    let deliveries = &app.store.deliveries;
    // Whether there is an agent of this name is not told to who has no token of its.
    let agent = deliveries.agent(&name).await?;
    let agent = agent.ok_or_else(|| refused(CannotEnrol::Token))?;
    let before = agent.clone();
    let enrolled = agent
        .enrol(
            token_digest(&token),
            shown.certificate,
            shown.not_before,
            app.now(),
        )
        .map_err(refused)?;
    if enrolled == before {
        return Ok(StatusCode::NO_CONTENT);
    }
    let sender = sender(&parts, &app, &name);
    let event = Event::new(
        &sender,
        Act::EnrolAgent,
        format_args!("agent/{name}"),
        app.clock.as_ref(),
    )
    .with_detail(shown.certificate.fingerprint);
    let unit = deliveries.update_agent(&enrolled)?.recording(&event)?;
    app.store.commit(unit).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What an agent is told that does not get in.
pub fn refused(why: CannotEnrol) -> ApiError {
    let kind = match why {
        CannotEnrol::Token | CannotEnrol::Over | CannotEnrol::NotEnrolled => {
            ProblemKind::Unauthorized
        }
        CannotEnrol::Certificate => ProblemKind::Malformed,
    };
    ApiError::new(kind, why.to_string())
}
